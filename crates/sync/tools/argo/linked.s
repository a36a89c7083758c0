// A package with functions that have no body needs a file of this kind.

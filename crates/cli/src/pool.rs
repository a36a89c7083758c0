//! Several runs at a time, reported in order or as they end.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Stack of a worker: simulated runs nest deeply in debug builds.
const STACK_BYTES: usize = 16 << 20;

/// Calls `work` for each of `items` on `jobs` threads, and `report` for each result on this thread, in the order of the
/// items. When `report` breaks, nothing new is started and nothing more is reported.
pub(crate) fn in_order<T: Sync, R: Send>(
    items: &[T],
    jobs: NonZeroUsize,
    work: impl Fn(&T) -> R + Sync,
    mut report: impl FnMut(R) -> ControlFlow<()>,
) -> std::io::Result<()> {
    let mut waiting = BTreeMap::new();
    let mut due = 0;
    as_they_end(items, jobs, work, |index, result| {
        waiting.insert(index, result);
        while let Some(result) = waiting.remove(&due) {
            due += 1;
            report(result)?;
        }
        ControlFlow::Continue(())
    })
}

/// As [`in_order`], but each result is reported as soon as it is there, with the place of its item.
pub(crate) fn as_they_end<T: Sync, R: Send>(
    items: &[T],
    jobs: NonZeroUsize,
    work: impl Fn(&T) -> R + Sync,
    mut report: impl FnMut(usize, R) -> ControlFlow<()>,
) -> std::io::Result<()> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..jobs.get().min(items.len()) {
            let (sender, next, stop, work) = (sender.clone(), &next, &stop, &work);
            let worker = move || {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    if sender.send((index, work(item))).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new()
                .name(format!("run-{number}"))
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, worker)?;
        }
        drop(sender);
        for (index, result) in results {
            if report(index, result).is_break() {
                stop.store(true, Ordering::Relaxed);
                break;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whoever_is_first() {
        let items: Vec<u64> = (0..200).collect();
        let mut seen = Vec::new();
        let slow_first = |n: &u64| (0..(200 - n) * 50).fold(*n, |sum, _| std::hint::black_box(sum));
        in_order(&items, NonZeroUsize::new(4).unwrap(), slow_first, |n| {
            seen.push(n);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(seen, items);
    }

    #[test]
    fn each_result_has_the_place_of_its_item() {
        let items: Vec<usize> = (0..50).map(|n| n * n).collect();
        let mut seen = vec![None; items.len()];
        as_they_end(
            &items,
            NonZeroUsize::new(4).unwrap(),
            |n| *n,
            |at, n| {
                seen[at] = Some(n);
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        assert_eq!(seen, items.into_iter().map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn breaking_ends_the_report() {
        let items: Vec<u64> = (0..100).collect();
        let mut seen = Vec::new();
        in_order(
            &items,
            NonZeroUsize::new(3).unwrap(),
            |n| *n,
            |n| {
                seen.push(n);
                if n == 4 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        )
        .unwrap();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }
}

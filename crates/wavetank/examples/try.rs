fn main() {
    let path = std::env::args().nth(1).unwrap();
    let loaded = wavetank_scenario::load(std::path::Path::new(&path), &Default::default()).unwrap_or_else(|p| panic!("{p}"));
    for scenario in loaded.scenarios {
        let start = std::time::Instant::now();
        let s = wavetank::simulate(&std::sync::Arc::new(scenario), Default::default());
        println!("{:?} {:?}", s.end, start.elapsed());
        for e in &s.trace.entries {
            match e.event.describe("default") {
                Some(t) => println!("{:>5} {:>9} {t}", e.seq, e.time.to_string()),
                None => println!("{:>5} {:>9}        {}", e.seq, e.time.to_string(), &serde_json::to_string(&e.event).unwrap().chars().take(200).collect::<String>()),
            }
            if let wavetank_trace::Event::Operation(o) = &e.event { println!("                    {:?} {}", o.state.phase, o.state.message); for r in &o.state.results { println!("                      {} {:?} {:?} {}", r.key, r.status, r.hook_phase, r.message); } }
        }
    }
}

//! Ctrl-C during a run.

use crate::place::Place;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Stdio},
};

/// A run whose operation waits for the file `gate`.
struct AtGate {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl AtGate {
    fn start(place: &Place, gate: &str) -> Self {
        let mut command = place.command(&["--json", "up", "--yes", "-c", &format!("gate={gate}")]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut run = Self { child, out };
        run.until(&["step_started", "gated"]);
        run
    }

    /// Reads up to the line with all of these words.
    #[track_caller]
    fn until(&mut self, words: &[&str]) {
        let mut line = String::new();
        while !words.iter().all(|word| line.contains(word)) {
            line.clear();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "it exited without {words:?}");
        }
    }

    fn press_ctrl_c(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    fn wait(mut self) -> Option<i32> {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.out, &mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}

const FINISHING: &str = "finishing the running operations, starting no others";

#[test]
fn the_first_ctrl_c_finishes_running_operations() {
    let place = &Place::new("passwords");
    let gate = place.path().join("gate");
    let mut run = AtGate::start(place, gate.to_str().unwrap());
    run.press_ctrl_c();
    run.until(&[FINISHING]);
    std::fs::write(&gate, "").unwrap();
    assert_eq!(run.wait(), Some(1));
    let list = place.run(&["state", "list"]).out;
    assert!(list.contains("gated") && !list.contains("afterwards"), "{list}");
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));
}

#[test]
fn the_second_ctrl_c_stops_at_once() {
    let place = &Place::new("passwords");
    let gate = place.path().join("gate");
    let mut run = AtGate::start(place, gate.to_str().unwrap());
    run.press_ctrl_c();
    run.until(&[FINISHING]);
    run.press_ctrl_c();
    run.until(&["stopped"]);
    assert_eq!(run.wait(), Some(130));
    assert!(!place.run(&["state", "list"]).out.contains("gated"));
    std::fs::write(&gate, "").unwrap();
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));
}

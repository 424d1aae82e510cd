//! What saving costs: how long the calls take, and how much slower training is meanwhile.

use std::time::Duration;

/// Durations measured in a run.
#[derive(Default)]
pub(crate) struct Figures {
    /// Each call of `save`.
    saves: Vec<Duration>,
    /// Training steps at whose begin and end a push was under way.
    busy: Vec<Duration>,
    /// Training steps at whose begin and end none was.
    quiet: Vec<Duration>,
}

impl Figures {
    pub(crate) fn save(&mut self, time: Duration) {
        self.saves.push(time);
    }

    /// Notes a step; one during which a push began or ended tells nothing and is left out.
    pub(crate) fn step(&mut self, time: Duration, pushing: [bool; 2]) {
        match pushing {
            [true, true] => self.busy.push(time),
            [false, false] => self.quiet.push(time),
            _ => {}
        }
    }

    /// One line per subject.
    pub(crate) fn lines(&self, checkpoint_mib: usize) -> [String; 2] {
        let longest = self.saves.iter().copied().max();
        let (busy, quiet) = (median(&self.busy), median(&self.quiet));
        let slower = match (busy, quiet) {
            (Some(busy), Some(quiet)) => {
                let percent = (busy.as_secs_f64() / quiet.as_secs_f64() - 1.0) * 100.0;
                format!("{percent:+.1} %")
            }
            _ => NONE.to_owned(),
        };
        [
            format!(
                "save: longest {}, median {}, of {} with {checkpoint_mib} MiB each",
                millis(longest),
                millis(median(&self.saves)),
                self.saves.len(),
            ),
            format!(
                "step: median {} while a push runs, {} while none does, difference {slower}",
                millis(busy),
                millis(quiet),
            ),
        ]
    }
}

/// What is printed where nothing was measured.
const NONE: &str = "n/a";

fn millis(time: Option<Duration>) -> String {
    time.map_or_else(
        || NONE.to_owned(),
        |time| format!("{:.2} ms", time.as_secs_f64() * 1000.0),
    )
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied()
}

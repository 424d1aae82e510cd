//! Rows: what was measured, its medians, and what is printed of it.

use super::sides::Sample;

/// What a row is called, and what it is held against.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The ratio that is wanted, or less.
    pub(crate) aim: Option<f64>,
    /// Seconds that the machine needs for what cannot be left out.
    pub(crate) limit: Option<f64>,
    /// How many times as often as others it is measured.
    pub(crate) times: usize,
    /// New files that it needs. What they take is measured beside it, in every round, and is the limit.
    pub(crate) creates: Option<u64>,
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            aim: None,
            limit: None,
            times: 1,
            creates: None,
        }
    }

    /// For a call of a few milliseconds: how long one takes hangs on what else the machine does in them.
    pub(crate) fn short(mut self) -> Self {
        self.times = 5;
        self
    }

    pub(crate) fn creates(mut self, files: u64) -> Self {
        self.creates = Some(files);
        self
    }

    pub(crate) fn aim(mut self, ratio: f64) -> Self {
        self.aim = Some(ratio);
        self
    }

    pub(crate) fn limit(mut self, seconds: f64) -> Self {
        self.limit = Some(seconds);
        self
    }
}

/// A row that was measured.
pub(crate) struct Measured {
    pub(crate) row: Row,
    /// Median seconds.
    pub(crate) ours: f64,
    pub(crate) theirs: f64,
    /// Of the medians.
    pub(crate) ratio: f64,
    /// The least and the largest ratio of a round.
    pub(crate) spread: (f64, f64),
    peaks_kib: [u64; 2],
}

/// A cost that is looked at over a growing number.
pub(crate) struct Growth {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

#[derive(Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Measured>,
    pub(crate) growth: Vec<Growth>,
}

impl Table {
    /// Takes the samples of a row, the warm-up first, and prints it.
    pub(crate) fn add(&mut self, row: &Row, ours: Vec<Sample>, theirs: Vec<Sample>) {
        let peak = |side: &[Sample]| side.iter().map(|sample| sample.peak_kib).max();
        let peaks_kib = [&ours, &theirs].map(|side| peak(side).unwrap_or(0));
        let counted = |side: &[Sample]| -> Vec<f64> {
            side[1..].iter().map(|sample| sample.seconds).collect()
        };
        let (ours, theirs) = (counted(&ours), counted(&theirs));
        let ratios = || ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs);
        let spread = (
            ratios().fold(f64::INFINITY, f64::min),
            ratios().fold(0.0, f64::max),
        );
        let (ours, theirs) = (median(ours.clone()), median(theirs.clone()));
        let measured = Measured {
            row: *row,
            ours,
            theirs,
            ratio: ours / theirs,
            spread,
            peaks_kib,
        };
        measured.print();
        self.rows.push(measured);
    }

    pub(crate) fn grow(&mut self, name: &'static str, unit: &'static str, points: Vec<(f64, f64)>) {
        for (number, seconds) in &points {
            println!("# growth {name} {number} {unit} {seconds:.4} s");
        }
        self.growth.push(Growth { name, unit, points });
    }

    /// What is known of the rows besides their ratios.
    pub(crate) fn summary(&self) {
        println!("# row | ours MiB | peer MiB | limit s | times the limit | aim | met");
        for measured in &self.rows {
            let mib = |at: usize| measured.peaks_kib[at] / 1024;
            let (limit, times) = match measured.row.limit {
                Some(limit) => (seconds(limit), format!("{:.2}", measured.ours / limit)),
                None => ("-".to_owned(), "-".to_owned()),
            };
            let (aim, met) = match measured.row.aim {
                Some(aim) if measured.ratio <= aim => (aim.to_string(), "yes"),
                Some(aim) => (aim.to_string(), "NO"),
                None => ("-".to_owned(), "-"),
            };
            println!(
                "# {} | {} | {} | {limit} | {times} | {aim} | {met}",
                measured.row.name,
                mib(0),
                mib(1)
            );
        }
    }
}

impl Measured {
    fn print(&self) {
        println!(
            "{} {} {} {:.3} {:.3}..{:.3}",
            self.row.name,
            seconds(self.ours),
            seconds(self.theirs),
            self.ratio,
            self.spread.0,
            self.spread.1
        );
    }
}

pub(crate) fn seconds(seconds: f64) -> String {
    format!("{seconds:.4}")
}

/// The middle one; of an even number, the larger of the two in the middle.
pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

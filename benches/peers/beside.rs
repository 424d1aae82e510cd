//! What a push in the background takes from the training beside it, and whether it keeps to its limit.

use std::fs;

use super::data;
use super::lab::{Lab, text};

/// Bytes per second that a push may take.
const MOST: u64 = 50_000_000;

pub(crate) fn lines(lab: &mut Lab) {
    if !lab.wants(&["beside"]) {
        return;
    }
    // Half a minute at that rate.
    let bytes = lab.options.sizes.large / 2 * 3;
    for most in [MOST, 0] {
        let (folder, remote) = lab.new_clone("beside");
        data::noise_file(&folder.join("model.safetensors"), 1, bytes);
        lab.ours(&["stage", text(&folder)]);
        lab.ours(&["commit", text(&folder)]);
        rustix::fs::sync();
        let (_, seconds) = lab.our_calls(&["beside", text(&folder), &most.to_string()]);
        let [pushed, alone, during] = seconds[..] else {
            panic!("three figures, not {seconds:?}");
        };
        #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let rate = bytes as f64 / pushed / 1e6;
        let limit = match most {
            0 => "no limit".to_owned(),
            most => format!("a limit of {} MB/s", most / 1_000_000),
        };
        println!(
            "# beside training, {limit}: {rate:.1} MB/s for {pushed:.1} s; a step of {:.1} ms takes {:.3} times as long",
            alone * 1e3,
            during / alone,
        );
        fs::remove_dir_all(folder).unwrap();
        remote.remove();
    }
}

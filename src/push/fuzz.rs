//! Entries of the journal, damaged or not.

use super::journal::format::{Unreadable, checksum, decode, encode};

pub(crate) fn journal(data: &[u8]) {
    assert_round_trip(data);
    // The checksum keeps everything else out; whoever can write it can write the rest.
    if let Ok(json) = std::str::from_utf8(data)
        && !json.contains('\n')
    {
        assert_round_trip(format!("{json}\n{}\n", checksum(data)).as_bytes());
    }
}

fn assert_round_trip(text: &[u8]) {
    match decode(text) {
        Ok((owner, promise)) => {
            let written = encode(&owner, &promise).expect("written");
            assert_eq!(decode(&written), Ok((owner, promise)));
            // A bit that flips, or bytes that are not there, are noticed.
            let mut flipped = written.clone();
            let middle = flipped.len() / 3;
            flipped[middle] ^= 1;
            assert_eq!(decode(&flipped), Err(Unreadable::Damaged));
            assert_eq!(decode(&written[..middle]), Err(Unreadable::Damaged));
        }
        Err(Unreadable::Newer(version)) => assert!(version > 1),
        Err(Unreadable::Damaged) => {}
    }
}

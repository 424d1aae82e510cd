//! Lines as a broken or hostile agent says them.

use super::protocol::{Reply, read_init, read_reply};
use crate::lfs::fuzz::{assert_complaint, objects};
use crate::progress::Direction;

pub(crate) fn agent(data: &[u8]) {
    let said = String::from_utf8_lossy(data);
    for line in said.split('\n') {
        if let Err(why) = read_init(line) {
            assert_complaint(&why);
        }
        for object in objects() {
            for direction in [Direction::Upload, Direction::Download] {
                match read_reply(line, object, direction) {
                    Ok(Reply::Progress(bytes)) => assert!(bytes <= object.size),
                    Ok(Reply::Complete(path)) => {
                        assert_eq!(path.is_some(), direction == Direction::Download);
                        assert!(path.is_none_or(|path| !path.as_os_str().is_empty()));
                    }
                    Ok(Reply::Failed(_)) => {}
                    Err(why) => assert_complaint(&why),
                }
            }
        }
    }
}

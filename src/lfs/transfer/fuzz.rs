//! Uploads in parts: as servers lay them out, and as they are written down.

use std::sync::PoisonError;

use super::journal::{Header, read};
use super::multipart::{Plan, Upload};
use crate::lfs::Object;
use crate::lfs::api::Actions;
use crate::lfs::fuzz::assert_same_url;
use crate::probe::assert_fit_to_print;
use crate::url::Url;

/// Takes the parts a server asks for, if it does.
pub(in crate::lfs) fn plan(object: Object, actions: &Actions) {
    match Plan::read(object, actions) {
        Ok(Some(plan)) => {
            assert!(plan.journal.is_none());
            let finished = plan.finished.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(finished.is_empty());
            assert_whole(object, &plan.upload);
        }
        Ok(None) => {}
        Err(error) => assert_fit_to_print(&error.to_string()),
    }
}

/// The parts cover the object, each byte once.
fn assert_whole(object: Object, upload: &Upload) {
    let mut end = 0_u64;
    for url in &upload.parts {
        assert_same_url(url);
        assert!(end < object.size, "a part behind the end");
        end += upload.part_size.min(object.size - end);
    }
    assert_eq!(end, object.size, "bytes in no part");
}

pub(crate) fn upload_journal(data: &[u8]) {
    let Some((header, finished)) = read(data) else {
        return;
    };
    let count = header.parts.len();
    assert!(
        finished
            .keys()
            .all(|part| (1..=count).contains(&(*part as usize)))
    );
    let Ok(oid) = header.oid.parse() else { return };
    let size = header.size;
    let object = Object { oid, size };
    let Some(upload) = header.into_upload() else {
        return;
    };
    if object.size > 0 {
        assert_whole(object, &upload);
    }
    let lfs = Url::parse("https://hub.example/info/lfs").expect("a URL");
    let again = Header::new(&lfs, object, &upload);
    let mut line = serde_json::to_vec(&again).expect("written");
    line.push(b'\n');
    let (read_again, finished) = read(&*line).expect("what is written is read");
    assert!(finished.is_empty());
    let upload_again = read_again.into_upload().expect("a plan");
    assert!(upload_again.parts == upload.parts && upload_again.part_size == upload.part_size);
    assert_eq!(upload_again.complete.headers, upload.complete.headers);
    assert_eq!(upload_again.verify.is_some(), upload.verify.is_some());
}

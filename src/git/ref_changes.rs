//! Refs that are made and deleted, of whatever kind.

use git2::ErrorCode;

use super::error::{patiently, wrap};
use super::{Git, ObjectId};
use crate::error::{Error, ErrorKind, Result};

impl Git {
    /// Creates a ref that must not exist, nor one that its name is a folder of, or the other way round.
    pub(crate) fn create_ref(&self, full_name: &str, id: ObjectId, log: &str) -> Result<()> {
        if let Some(name) = self.in_the_way_of(full_name)? {
            return Err(taken(&name));
        }
        let created = patiently(&format!("create {full_name}"), || {
            match self.repo.reference(full_name, id, false, log) {
                Err(error) if error.code() == ErrorCode::Exists => Ok(false),
                result => result.map(|_| true),
            }
        });
        match created? {
            true => Ok(()),
            false => Err(taken(full_name)),
        }
    }

    /// Refuses a name that another ref has, or is in the way of.
    pub(crate) fn refuse_taken(&self, full_name: &str) -> Result<()> {
        if self.repo.find_reference(full_name).is_ok() {
            return Err(taken(full_name));
        }
        self.in_the_way_of(full_name)?
            .map_or(Ok(()), |name| Err(taken(&name)))
    }

    /// A ref that keeps another from being created: there cannot be `a` and `a/b`.
    pub(super) fn in_the_way_of(&self, full_name: &str) -> Result<Option<String>> {
        let what = format!("look for {full_name}");
        let parts: Vec<usize> = full_name.match_indices('/').map(|(at, _)| at).collect();
        // `refs` and the kind of ref are no refs.
        for at in parts.iter().skip(2) {
            let above = &full_name[..*at];
            if self.repo.find_reference(above).is_ok() {
                return Ok(Some(above.to_owned()));
            }
        }
        let below = format!("{full_name}/*");
        let mut names = self.repo.references_glob(&below).map_err(wrap(&what))?;
        let first = names.names().find_map(|name| name.ok().map(str::to_owned));
        Ok(first)
    }

    /// Deletes a ref if it still is at `id`; whether it was.
    pub(crate) fn delete_ref(&self, full_name: &str, id: ObjectId) -> Result<bool> {
        patiently(&format!("delete {full_name}"), || {
            match self.repo.find_reference(full_name) {
                // libgit2 compares once more what was read here.
                Ok(mut found) if found.target() == Some(id) => match found.delete() {
                    Err(error) if error.code() == ErrorCode::Modified => Ok(false),
                    result => result.map(|()| true),
                },
                Ok(_) => Ok(false),
                Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
                Err(error) => Err(error),
            }
        })
    }
}

fn taken(name: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("{name} exists already"))
        .with_hint("choose another name, or delete that one first")
}

//! Tags.

use std::time::{Duration, SystemTime};

use git2::{ErrorCode, ObjectType};

use super::error::wrap;
use super::refs::{commit_id, object_id};
use super::remote::Advertisement;
use super::{Git, Identity, ObjectId};
use crate::error::Result;
use crate::id::CommitId;
use crate::name::TagName;

/// A tag as a ref says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagRef {
    pub(crate) name: TagName,
    /// What the ref names: the commit, or an object that says more about it.
    pub(crate) id: ObjectId,
    /// The commit it leads to; none if it is of a file or a folder. Of a remote's tag, that is known only
    /// where the object is here.
    pub(crate) commit: Option<CommitId>,
    pub(crate) is_annotated: bool,
    /// What is written in it, as far as it is here.
    pub(crate) annotation: Annotation,
}

/// What an annotated tag says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Annotation {
    pub(crate) message: Option<String>,
    pub(crate) tagger: Option<Identity>,
    pub(crate) time: Option<SystemTime>,
}

/// A tag's message as git keeps it: no empty lines around it, no blanks at the ends of lines.
pub(crate) fn tidy_message(text: &str) -> Result<String> {
    git2::message_prettify(text, None).map_err(wrap("read the message"))
}

impl Git {
    /// A tag of this clone.
    pub(crate) fn tag(&self, name: &TagName) -> Result<Option<TagRef>> {
        match self.repo.find_reference(&name.full_ref()) {
            Ok(found) => Ok(self.read_tag(name.clone(), &found)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(wrap(&format!("read the tag {name}"))(error)),
        }
    }

    /// All tags of this clone, by name. Those whose names only some other git allows are left out.
    pub(crate) fn tags(&self) -> Result<Vec<TagRef>> {
        let what = "list the tags";
        let mut tags = Vec::new();
        for found in self
            .repo
            .references_glob("refs/tags/*")
            .map_err(wrap(what))?
        {
            let found = found.map_err(wrap(what))?;
            let name = found
                .name()
                .ok()
                .and_then(|name| name.strip_prefix("refs/tags/"));
            let name: Option<TagName> = name.and_then(|name| name.parse().ok());
            tags.extend(name.and_then(|name| self.read_tag(name, &found)));
        }
        tags.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(tags)
    }

    /// The tags that a remote tells of, by name.
    pub(crate) fn tags_of(&self, there: &Advertisement) -> Vec<TagRef> {
        let mut tags: Vec<TagRef> = Vec::new();
        // What an annotated tag leads to comes right behind it.
        for found in &there.refs {
            let Some(name) = found.name.strip_prefix("refs/tags/") else {
                continue;
            };
            if let Some(peeled) = name.strip_suffix("^{}") {
                if let Some(tag) = tags.last_mut().filter(|tag| tag.name.as_str() == peeled) {
                    tag.is_annotated = true;
                    tag.commit = self.may_be_commit(found.id);
                }
            } else if let Ok(name) = name.parse() {
                tags.push(TagRef {
                    name,
                    id: found.id,
                    commit: self.may_be_commit(found.id),
                    is_annotated: false,
                    annotation: self.annotation(found.id).unwrap_or_default(),
                });
            }
        }
        tags.sort_by(|one, two| one.name.cmp(&two.name));
        tags
    }

    /// The commit of that id, unless it is here and something else: of what is not here a remote does not
    /// say what it is.
    fn may_be_commit(&self, id: ObjectId) -> Option<CommitId> {
        let kind = self.repo.odb().and_then(|odb| odb.read_header(id));
        let is_other = kind.is_ok_and(|(_, kind)| kind != ObjectType::Commit);
        (!is_other).then(|| commit_id(id))
    }

    fn read_tag(&self, name: TagName, found: &git2::Reference<'_>) -> Option<TagRef> {
        let id = found.resolve().ok()?.target()?;
        let annotation = self.annotation(id);
        Some(TagRef {
            name,
            id,
            commit: self.known_commit(id),
            is_annotated: annotation.is_some(),
            annotation: annotation.unwrap_or_default(),
        })
    }

    fn annotation(&self, id: ObjectId) -> Option<Annotation> {
        let tag = self.repo.find_tag(id).ok()?;
        let tagger = tag.tagger();
        let identity = |signature: &git2::Signature<'_>| {
            Identity::new(signature.name().ok()?, signature.email().ok()?).ok()
        };
        let time = |signature: &git2::Signature<'_>| {
            let seconds = u64::try_from(signature.when().seconds()).ok()?;
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        };
        Some(Annotation {
            message: tag
                .message_bytes()
                .map(|text| String::from_utf8_lossy(text).into_owned()),
            tagger: tagger.as_ref().and_then(identity),
            time: tagger.as_ref().and_then(time),
        })
    }

    /// Whether an object is an annotated tag, and here.
    pub(crate) fn is_tag(&self, id: ObjectId) -> bool {
        self.repo.find_tag(id).is_ok()
    }

    /// Whether two annotated tags lead to the same object and say the same; who made them, and when, does
    /// not count.
    pub(crate) fn are_alike(&self, one: ObjectId, other: ObjectId) -> bool {
        let (Ok(one), Ok(other)) = (self.repo.find_tag(one), self.repo.find_tag(other)) else {
            return false;
        };
        let says = |tag: &git2::Tag<'_>| {
            let text = tag.message_bytes().unwrap_or_default().to_vec();
            (tag.target_id(), text)
        };
        says(&one) == says(&other)
    }

    /// Writes what an annotated tag says; no ref leads to it yet.
    pub(crate) fn write_tag(
        &self,
        name: &TagName,
        commit: CommitId,
        message: &str,
        identity: &Identity,
    ) -> Result<ObjectId> {
        let what = format!("write the tag {name}");
        let target = self
            .repo
            .find_object(object_id(commit)?, Some(ObjectType::Commit))
            .map_err(wrap(&what))?;
        let tagger = identity.sign()?;
        self.repo
            .tag_annotation_create(name.as_str(), &target, &tagger, message)
            .map_err(wrap(&what))
    }
}

//! Checking pointers and the objects they name.

mod repair;
mod report;

pub(crate) use repair::Repairing;
pub use report::{BadPointer, Damage, DamagedObject, FsckReport, PointerProblem, Repair};

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Context, Wanted};
use crate::error::Result;
use crate::fs::Stat;
use crate::git::{Attributes, NamedBlob, ObjectId, Snapshot};
use crate::id::{CommitId, LfsOid};
use crate::lfs::Object;
use crate::lfs::examine::Examined;
use crate::lfs::pointer::{MAX_POINTER_BYTES, Pointer};
use crate::path::RepoPath;
use crate::progress::Event;

/// What to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FsckChecks {
    /// Objects and pointers.
    #[default]
    All,
    /// Whether the objects that pointers name are here and whole.
    Objects,
    /// Whether the files that belong to Git LFS are pointers, well spelt.
    Pointers,
}

/// Where to look, and what for.
pub(crate) struct Fsck<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) commits: &'a [CommitId],
    /// Whether the index is looked at, too.
    pub(crate) index: bool,
    pub(crate) checks: FsckChecks,
    /// For files whose content nobody wants, its absence is no damage.
    pub(crate) wanted: &'a Wanted,
}

/// What was found, and the files that were seen to be damaged.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) report: FsckReport,
    seen: HashMap<LfsOid, Stat>,
    /// Other sizes that pointers to a damaged object say; nobody knows which one is right.
    sizes: HashMap<LfsOid, Vec<u64>>,
}

/// Who names an object.
#[derive(Default)]
struct Named {
    paths: BTreeSet<RepoPath>,
    commit: Option<CommitId>,
    wanted: bool,
}

/// By the size that they say it has; mostly there is one.
type BySize = BTreeMap<u64, Named>;

/// What a blob is.
#[derive(Clone, Copy)]
enum Kind {
    Pointer { object: Object, canonical: bool },
    Other,
}

impl Fsck<'_> {
    /// Looks; nothing is changed.
    ///
    /// # Errors
    /// If cancelled, or the repository cannot be read.
    pub(crate) fn run(&self) -> Result<Findings> {
        let git = self.context.git;
        let mut look = Look {
            fsck: self,
            kinds: HashMap::new(),
            seen: HashSet::new(),
            told: HashSet::new(),
            named: BTreeMap::new(),
            pointers: Vec::new(),
        };
        for commit in self.commits {
            let tree = git.tree_of(*commit)?;
            let rules = Rules::Tree(git.snapshot(Some(tree))?);
            look.at(git.blobs_of_tree(tree)?, Some(*commit), &rules)?;
        }
        if self.index {
            let rules = Rules::Worktree(git.attributes()?);
            look.at(git.blobs_of_own_index()?, None, &rules)?;
        }
        let Look {
            named,
            mut pointers,
            ..
        } = look;
        let mut findings = Findings::default();
        if self.checks != FsckChecks::Pointers {
            self.objects(named, &mut findings, &mut pointers)?;
        }
        pointers.sort_by(|one, other| one.path.cmp(&other.path));
        findings.report.pointers = pointers;
        Ok(findings)
    }

    /// Reads every object once.
    fn objects(
        &self,
        named: BTreeMap<LfsOid, BySize>,
        findings: &mut Findings,
        pointers: &mut Vec<BadPointer>,
    ) -> Result<()> {
        let Context {
            store,
            cancel,
            progress,
            ..
        } = self.context;
        let Findings {
            report,
            seen,
            sizes,
        } = findings;
        let total = named.len();
        for (number, (oid, by_size)) in (1..).zip(named) {
            cancel.check()?;
            let examined = store.examine(oid, cancel)?;
            if let Some(bytes) = examined.bytes() {
                report.checked += 1;
                report.bytes += bytes;
            }
            let bytes = report.bytes;
            progress.report(|| Event::Checked {
                objects: number,
                total,
                bytes,
            });
            let damage = match examined {
                Examined::Missing if !by_size.values().any(|named| named.wanted) => continue,
                Examined::Missing => Damage::Missing,
                Examined::Corrupt(stat) => {
                    seen.insert(oid, stat);
                    Damage::Corrupt
                }
                Examined::Unreadable(stat, error) => {
                    seen.insert(oid, stat);
                    Damage::Unreadable(error)
                }
                Examined::Whole(stored) => {
                    if self.checks == FsckChecks::All {
                        pointers.extend(wrong_sizes(oid, stored, &by_size));
                    }
                    continue;
                }
            };
            let mut by_size: Vec<(u64, Named)> = by_size.into_iter().collect();
            // What is wanted is likely to be right: old commits may name it by mistake.
            by_size.sort_by_key(|(_, named)| !named.wanted);
            let others = by_size.iter().skip(1).map(|(size, _)| *size);
            sizes.insert(oid, others.collect());
            report.objects.extend(damaged(oid, by_size, damage));
        }
        Ok(())
    }
}

/// The pointers that say another size than the object has.
fn wrong_sizes(oid: LfsOid, stored: u64, by_size: &BySize) -> Vec<BadPointer> {
    let wrong = by_size.iter().filter(|(size, _)| **size != stored);
    let pointers = wrong.flat_map(|(size, named)| {
        let problem = PointerProblem::WrongSize {
            oid,
            size: *size,
            stored,
        };
        named.paths.iter().map(move |path| BadPointer {
            path: path.clone(),
            commit: named.commit,
            problem,
        })
    });
    pointers.collect()
}

fn damaged(oid: LfsOid, by_size: Vec<(u64, Named)>, damage: Damage) -> Option<DamagedObject> {
    let (size, first) = by_size.first()?;
    let (size, commit) = (*size, first.commit);
    let paths: BTreeSet<RepoPath> = by_size
        .into_iter()
        .flat_map(|(_, named)| named.paths)
        .collect();
    Some(DamagedObject {
        oid,
        size,
        paths: paths.into_iter().collect(),
        commit,
        damage,
        set_aside: None,
        repair: Repair::NotTried,
    })
}

/// Whose attributes say which files belong to Git LFS.
enum Rules<'a> {
    Tree(Snapshot),
    Worktree(Attributes<'a>),
}

/// What was seen so far.
struct Look<'a> {
    fsck: &'a Fsck<'a>,
    kinds: HashMap<ObjectId, Kind>,
    /// Files that are the same in several places name the same object. The rules for them need not be the
    /// same: they are asked each time.
    seen: HashSet<(Option<RepoPath>, ObjectId)>,
    /// Files that are reported for their pointers.
    told: HashSet<(RepoPath, ObjectId)>,
    named: BTreeMap<LfsOid, BySize>,
    pointers: Vec<BadPointer>,
}

impl Look<'_> {
    fn at(
        &mut self,
        blobs: Vec<NamedBlob>,
        commit: Option<CommitId>,
        rules: &Rules<'_>,
    ) -> Result<()> {
        for NamedBlob { path, id } in blobs {
            self.fsck.context.cancel.check()?;
            let kind = self.kind(id)?;
            if let Kind::Pointer { object, .. } = kind
                && object.size > 0
                && self.seen.insert((path.clone(), id))
            {
                let wanted = path
                    .as_ref()
                    .is_none_or(|path| self.fsck.wanted.wants(path));
                let by_size = self.named.entry(object.oid).or_default();
                let named = by_size.entry(object.size).or_insert_with(|| Named {
                    commit,
                    ..Named::default()
                });
                named.wanted |= wanted;
                named.paths.extend(path.clone());
            }
            if let Some(path) = path {
                self.pointer((path, id), commit, kind, rules)?;
            }
        }
        Ok(())
    }

    /// Whether a file is the pointer it should be.
    fn pointer(
        &mut self,
        file: (RepoPath, ObjectId),
        commit: Option<CommitId>,
        kind: Kind,
        rules: &Rules<'_>,
    ) -> Result<()> {
        let problem = match kind {
            Kind::Pointer {
                canonical: true, ..
            } => return Ok(()),
            Kind::Pointer { object, .. } => PointerProblem::NotCanonical { oid: object.oid },
            Kind::Other => PointerProblem::NotAPointer,
        };
        let path = &file.0;
        // git reads the rules before it could ask LFS for them.
        let is_rules = path.as_str().rsplit('/').next() == Some(".gitattributes");
        if self.fsck.checks == FsckChecks::Objects || is_rules || self.told.contains(&file) {
            return Ok(());
        }
        let is_lfs = match rules {
            Rules::Tree(snapshot) => snapshot.is_lfs(path)?,
            Rules::Worktree(attributes) => attributes.is_lfs(path)?,
        };
        if is_lfs {
            self.pointers.push(BadPointer {
                path: path.clone(),
                commit,
                problem,
            });
            self.told.insert(file);
        }
        Ok(())
    }

    fn kind(&mut self, blob: ObjectId) -> Result<Kind> {
        if let Some(kind) = self.kinds.get(&blob) {
            return Ok(*kind);
        }
        let limit = MAX_POINTER_BYTES as u64;
        let bytes = self.fsck.context.git.small_blob(blob, limit)?;
        let pointer = bytes.and_then(|bytes| Some((Pointer::parse(&bytes).ok()?, bytes)));
        let kind = pointer.map_or(Kind::Other, |(pointer, bytes)| Kind::Pointer {
            canonical: pointer.encode() == bytes,
            object: Object {
                oid: pointer.oid,
                size: pointer.size,
            },
        });
        self.kinds.insert(blob, kind);
        Ok(kind)
    }
}

//! Every fault at every place where it can occur, once and for good.
//!
//! [`verdict`] is the table of `docs/transfers.md`. After each fault the store and the remote are
//! as they were, and what failed succeeds when it is repeated without the fault.

use std::fmt;
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use hf_repository::{Content, ErrorKind, NetworkLimits, Repository};
use mini_hub::{
    Action, BodyFault, Fault, GitFault, LfsFault, MiniHub, RangeFault, RepoKind, Role, Route,
};

use crate::support::{World, weights, write};

/// Where a fault occurs; each is a request of its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Whoami,
    Advertisement,
    Push,
    Fetch,
    UploadBatch,
    DownloadBatch,
    Put,
    Part,
    Complete,
    Verify,
    Get,
    /// The connection to the storage, before anything was said.
    Connection,
}

const PLACES: [Place; 12] = [
    Place::Whoami,
    Place::Advertisement,
    Place::Push,
    Place::Fetch,
    Place::UploadBatch,
    Place::DownloadBatch,
    Place::Put,
    Place::Part,
    Place::Complete,
    Place::Verify,
    Place::Get,
    Place::Connection,
];

/// What should come of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The call succeeds, and its result is right.
    Survives,
    /// The call fails with this kind, and has changed nothing.
    Fails(ErrorKind),
}

/// The same for a fault that happens once, and one that does not end.
struct Verdicts {
    once: Verdict,
    always: Verdict,
}

impl Place {
    fn route(self) -> Route {
        match self {
            Self::Whoami => Route::Api,
            Self::Advertisement => Route::InfoRefsReceive,
            Self::Push => Route::ReceivePack,
            Self::Fetch => Route::UploadPack,
            Self::UploadBatch | Self::DownloadBatch => Route::LfsBatch,
            Self::Put => Route::LfsPut,
            Self::Part => Route::LfsPart,
            Self::Complete => Route::LfsComplete,
            Self::Verify => Route::LfsVerify,
            Self::Get => Route::LfsGet,
            Self::Connection => Route::StorageConnection,
        }
    }

    fn is_storage(self) -> bool {
        matches!(
            self,
            Self::Put | Self::Part | Self::Complete | Self::Verify | Self::Get
        )
    }

    /// Whether an object is on its way here, and not there.
    fn is_download(self) -> bool {
        matches!(self, Self::Fetch | Self::DownloadBatch | Self::Get)
    }

    fn has_request_body(self) -> bool {
        matches!(self, Self::Push | Self::Put | Self::Part)
    }

    fn has_json(self) -> bool {
        matches!(self, Self::Whoami | Self::UploadBatch | Self::DownloadBatch)
    }

    /// Whether the answer has a body that is read.
    fn has_answer(self) -> bool {
        self.has_json()
            || matches!(
                self,
                Self::Advertisement | Self::Push | Self::Fetch | Self::Get
            )
    }

    /// All that can go wrong here.
    fn faults(self) -> Vec<Action> {
        if self == Self::Connection {
            return vec![Action::Cut, Action::Reset, Action::Stall];
        }
        let mut all: Vec<Action> = STATUSES.map(Action::status).to_vec();
        all.push(Action::status_with(429, "Retry-After", "0"));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        all.push(Action::status_with(429, "Retry-After", date));
        all.push(Action::status_with(429, "RateLimit", "\"api\";r=0;t=0"));
        all.push(Action::status_with(429, "Retry-After", "86400"));
        all.extend([Action::Cut, Action::Reset, Action::Stall]);
        all.push(Action::Delay(Duration::from_millis(100)));
        if self.has_request_body() {
            all.extend([
                Action::CutRequest(600),
                Action::ResetRequest(600),
                Action::StallRequest(600),
            ]);
        }
        if self.has_answer() {
            all.extend([
                Action::CutResponse(20),
                Action::ResetResponse(20),
                Action::StallResponse(20),
                Action::FlipBit,
                Action::Html,
                BodyFault::Gzip.into(),
            ]);
        }
        if self.has_json() {
            all.extend([
                BodyFault::Json.into(),
                BodyFault::Type.into(),
                BodyFault::Bom.into(),
                BodyFault::Longer(10).into(),
                Action::SlowResponse(1),
            ]);
        }
        if self != Self::Whoami && self != Self::Push {
            all.push(Action::redirect("http://127.0.0.1:9/elsewhere"));
        }
        match self {
            Self::Push => all.extend([
                GitFault::Reject("not today".into()).into(),
                GitFault::Noise(100 << 10).into(),
            ]),
            Self::UploadBatch => all.extend(
                [
                    LfsFault::NoVerify,
                    LfsFault::Expired,
                    LfsFault::ExpiresNow,
                    LfsFault::ExpiredAt,
                ]
                .into_iter()
                .chain(ODDITIES)
                .map(Action::from),
            ),
            Self::DownloadBatch => all.extend(
                [LfsFault::Expired, LfsFault::ExpiresNow, LfsFault::ExpiredAt]
                    .into_iter()
                    .chain(ODDITIES)
                    .map(Action::from),
            ),
            Self::Part => all.extend([LfsFault::NoEtag.into()]),
            Self::Get => all.extend([
                BodyFault::Longer(10).into(),
                Action::SlowResponse(1),
                RangeFault::Ignore.into(),
                RangeFault::Start.into(),
                RangeFault::Unsatisfiable.into(),
                RangeFault::Unnamed.into(),
            ]),
            _ => {}
        }
        all
    }
}

const STATUSES: [u16; 20] = [
    400, 401, 403, 404, 406, 408, 409, 410, 412, 413, 415, 422, 429, 500, 501, 502, 503, 504, 507,
    509,
];

/// What an LFS server can get wrong in both directions.
const ODDITIES: [LfsFault; 11] = [
    LfsFault::ObjectError(404),
    LfsFault::ObjectError(409),
    LfsFault::ObjectError(410),
    LfsFault::ObjectError(422),
    LfsFault::ObjectError(500),
    LfsFault::Omit,
    LfsFault::Extra,
    LfsFault::Reorder,
    LfsFault::Sizes,
    LfsFault::Transfer,
    LfsFault::OtherHash,
];

/// What a fault at a place leads to.
fn verdict(place: Place, action: &Action) -> Verdicts {
    use ErrorKind as K;
    use Verdict::{Fails, Survives};
    let harmless = Verdicts {
        once: Survives,
        always: Survives,
    };
    // Tried again, and given up in the end.
    let passes = |kind| Verdicts {
        once: Survives,
        always: Fails(kind),
    };
    // Never tried again.
    let is_final = |kind| Verdicts {
        once: Fails(kind),
        always: Fails(kind),
    };
    match action {
        Action::Status { code, headers, .. } => match code {
            302 if place == Place::Get || place == Place::Advertisement => passes(K::Network),
            302 => is_final(K::Protocol),
            // Asked anew, the server says that it has the object.
            401 | 403 if place == Place::Verify => harmless,
            401 if place.is_storage() => passes(K::Unauthorized),
            403 if place.is_storage() => passes(K::Forbidden),
            401 => is_final(K::Unauthorized),
            403 | 507 | 509 => is_final(K::Forbidden),
            400 | 422 if place == Place::Complete => passes(K::Protocol),
            409 if place == Place::Complete => passes(K::AlreadyExists),
            404 | 410 if place == Place::Complete || place == Place::Part => {
                passes(K::RepoNotFound)
            }
            404 | 410 if place == Place::Verify => passes(K::LfsObjectMissing),
            404 | 410 if place == Place::Get => is_final(K::LfsObjectMissing),
            404 | 410 => is_final(K::RepoNotFound),
            408 => passes(K::Timeout),
            409 => is_final(K::AlreadyExists),
            429 if headers.iter().any(|(_, value)| value == "86400") => is_final(K::RateLimited),
            429 => passes(K::RateLimited),
            500 | 502 | 503 | 504 => passes(K::Server),
            _ => is_final(K::Protocol),
        },
        Action::Delay(_) => harmless,
        // What was lost is only the answer: the branch has moved, and is asked for.
        Action::CutResponse(_)
        | Action::ResetResponse(_)
        | Action::StallResponse(_)
        | Action::FlipBit
        | Action::Body(_)
            if place == Place::Push =>
        {
            harmless
        }
        Action::Cut
        | Action::CutRequest(_)
        | Action::CutResponse(_)
        | Action::Reset
        | Action::ResetRequest(_)
        | Action::ResetResponse(_) => passes(K::Network),
        Action::Stall
        | Action::StallRequest(_)
        | Action::StallResponse(_)
        | Action::SlowResponse(_) => passes(K::Timeout),
        // A fresh download follows: something on the way may have done it.
        Action::FlipBit | Action::Html | Action::Body(BodyFault::Longer(_))
            if place == Place::Get =>
        {
            passes(K::LfsObjectCorrupt)
        }
        Action::Body(BodyFault::Gzip) => passes(K::Network),
        Action::FlipBit if place == Place::Fetch => passes(K::Network),
        Action::FlipBit if place == Place::Advertisement => passes(K::Network),
        Action::FlipBit | Action::Html => is_final(K::Protocol),
        Action::Body(BodyFault::Json | BodyFault::Longer(_)) => is_final(K::Protocol),
        Action::Body(BodyFault::Type | BodyFault::Bom) | Action::Range(_) => harmless,
        Action::Git(GitFault::Noise(_)) => harmless,
        Action::Git(GitFault::Reject(_)) => is_final(K::Rejected),
        Action::Lfs(fault) => match fault {
            LfsFault::NoVerify | LfsFault::Reorder | LfsFault::ExpiresNow | LfsFault::ExpiredAt => {
                harmless
            }
            LfsFault::Expired => passes(K::Forbidden),
            LfsFault::ObjectError(404 | 410) => is_final(K::LfsObjectMissing),
            LfsFault::ObjectError(500) => is_final(K::Server),
            _ => is_final(K::Protocol),
        },
        other => panic!("{other:?} is in no table"),
    }
}

/// One place with its own hub, and a clone on each side of it.
struct Scene {
    w: World,
    place: Place,
    ours: Repository,
    other: Repository,
    seed: u64,
}

impl Scene {
    fn new(place: Place) -> Self {
        let in_parts = matches!(place, Place::Part | Place::Complete);
        let hub = MiniHub::temporary_with(|config| {
            if in_parts {
                config.multipart(1000, 4000)
            } else {
                config
            }
        });
        let w = World::with(hub.unwrap());
        w.model("alice/m");
        let prepare = |name: &str| {
            // Long enough for a busy machine to answer in, short enough to wait for often.
            let limits = NetworkLimits::default()
                .retries(1)
                .stall_timeout(Duration::from_millis(800));
            let content = Content::Full;
            w.prepare("alice/m", name)
                .network_limits(limits)
                .content(content)
        };
        let (ours, other) = (
            prepare("ours").clone_repo().unwrap(),
            prepare("other").clone_repo().unwrap(),
        );
        Self {
            w,
            place,
            ours,
            other,
            seed: 0,
        }
    }

    /// Something new to be sent, or to be fetched.
    fn change(&mut self) -> Vec<u8> {
        self.seed += 1;
        let repo = if self.place.is_download() {
            &self.other
        } else {
            &self.ours
        };
        let content = weights(self.seed, 20_000);
        write(repo.workdir(), "w.bin", &content);
        write(repo.workdir(), "note.txt", noise(self.seed));
        repo.stage().unwrap();
        let _ = repo.commit("change").unwrap();
        if self.place.is_download() {
            repo.push().unwrap();
        }
        content
    }

    fn run(&self) -> Result<(), hf_repository::Error> {
        match self.place {
            Place::Whoami => self.ours.check_write_access(),
            place if place.is_download() => self.ours.pull().map(drop),
            _ => self.ours.push().map(drop),
        }
    }

    /// What must not change when the call fails.
    fn state(&self) -> (String, Vec<u8>, String) {
        let file = fs::read(self.ours.workdir().join("w.bin")).unwrap_or_default();
        let head = self.ours.head().unwrap().unwrap().to_string();
        (self.tip(), file, head)
    }

    /// Where the remote's branch is. Hundreds of times, so not by asking git.
    fn tip(&self) -> String {
        let file = self.w.bare("alice/m").join("refs/heads/main");
        fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// Both sides have the content, whole.
    fn arrived(&self, content: &[u8], what: &dyn fmt::Display) {
        if self.place == Place::Whoami {
            return;
        }
        let head = self.ours.head().unwrap().unwrap().to_string();
        assert_eq!(self.tip(), head, "{what}");
        let pointer = self
            .w
            .git(self.ours.workdir(), &["cat-file", "blob", "HEAD:w.bin"]);
        let oid = &pointer.split("sha256:").nth(1).unwrap()[..64];
        let object = self.w.hub.lfs_object_path(RepoKind::Model, "alice/m", oid);
        assert!(fs::read(object).unwrap() == content, "{what}: remote");
        let store = format!("ours/.git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]);
        let stored = fs::read(self.w.path(&store)).unwrap();
        assert!(stored == content, "{what}: store");
        let file = fs::read(self.ours.workdir().join("w.bin")).unwrap();
        assert!(file == content, "{what}: file");
    }

    /// One fault; whether the call survived it, or what is not as it should be.
    fn attempt(&mut self, action: &Action, always: bool) -> Result<bool, String> {
        let what = format!(
            "{:?}: {action} {}",
            self.place,
            if always { "always" } else { "once" }
        );
        let content = self.change();
        let before = self.state();
        if matches!(action, Action::Range(_)) {
            // There has to be a beginning.
            self.leave_beginning(&content);
        }
        let fault = Fault::on(self.place.route()).act(action.clone());
        let fault = if always { fault.always() } else { fault };
        let happened = self.w.hub.faults().happened();
        self.w.hub.faults().add(fault);
        let result = self.run();
        let happened = self.w.hub.faults().happened() > happened;
        self.w.hub.faults().clear();
        let verdicts = verdict(self.place, action);
        let wanted = if always {
            verdicts.always
        } else {
            verdicts.once
        };
        let changed = result.is_err() && self.state() != before;
        let as_documented = match (&result, wanted) {
            (Ok(()), Verdict::Survives) => true,
            (Err(error), Verdict::Fails(kind)) => error.kind() == kind,
            _ => false,
        };
        // Whatever it came to, the next call puts it right.
        let next = self.run();
        if next.is_ok() {
            self.arrived(&content, &what);
        }
        if happened && !changed && as_documented && next.is_ok() {
            return Ok(result.is_ok());
        }
        Err(format!(
            "{what}: happened {happened}, changed {changed}\n  wanted {wanted:?}\n  found {result:?}\n  then {next:?}"
        ))
    }

    fn leave_beginning(&self, content: &[u8]) {
        let pointer = self
            .w
            .git(self.other.workdir(), &["cat-file", "blob", "HEAD:w.bin"]);
        let oid = &pointer.split("sha256:").nth(1).unwrap()[..64];
        let folder = self.w.path("ours/.git/lfs/incomplete");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{oid}.part")), &content[..7000]).unwrap();
    }

    /// After all of them.
    fn end(&self) {
        self.w.git(self.w.bare("alice/m"), &["fsck", "--strict"]);
        self.w.assert_sound(self.ours.workdir());
        let uploads = self.w.path("ours/.git/hf-repository/uploads");
        let left = fs::read_dir(uploads).into_iter().flatten().count();
        assert_eq!(left, 0, "{:?}: journals are left", self.place);
        let incomplete = self.w.path("ours/.git/lfs/incomplete");
        let left = fs::read_dir(incomplete).into_iter().flatten().count();
        assert_eq!(left, 0, "{:?}: scratch files are left", self.place);
    }
}

/// Text that does not shrink much.
fn noise(seed: u64) -> String {
    (0..200_u64)
        .map(|number| {
            format!(
                "{:x}\n",
                (number + seed * 1000).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            )
        })
        .collect()
}

/// How much of the matrix is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// A third of the faults of each place, another third at the next one.
    Third,
    All,
}

#[test]
fn a_third_of_the_faults_at_every_place() {
    matrix(Share::Third);
}

/// Every fault at every place; the big tests try all of them.
pub(crate) fn matrix(share: Share) {
    let (places, results) = (Mutex::new(PLACES.to_vec()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in PLACES {
            scope.spawn(|| {
                while let Some(place) = { places.lock().unwrap().pop() } {
                    let mut scene = Scene::new(place);
                    let first = place as usize;
                    for (number, action) in place.faults().into_iter().enumerate() {
                        if share == Share::Third && !(first + number).is_multiple_of(3) {
                            continue;
                        }
                        // Where one is enough, more are the same.
                        let survives = verdict(place, &action).once == Verdict::Survives;
                        for always in [false, true].into_iter().take(1 + usize::from(survives)) {
                            let result = scene.attempt(&action, always);
                            results.lock().unwrap().push(result);
                        }
                    }
                    scene.end();
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let tried = results.len();
    let survived = results.iter().filter(|one| matches!(one, Ok(true))).count();
    let wrong: Vec<&String> = results
        .iter()
        .filter_map(|one| one.as_ref().err())
        .collect();
    let failed = tried - survived - wrong.len();
    crate::support::say(&format!(
        "faults tried {tried} survived {survived} failed as documented {failed}"
    ));
    assert!(wrong.is_empty(), "{} of {tried}: {wrong:#?}", wrong.len());
    let least = if share == Share::All { 600 } else { 200 };
    assert!(tried > least, "the table has shrunk: {tried}");
}

#[test]
fn a_token_taken_back_in_the_middle_ends_the_push_until_there_is_another() {
    for place in [Place::Advertisement, Place::UploadBatch, Place::Push] {
        let mut scene = Scene::new(place);
        let content = scene.change();
        let before = scene.state();
        let fault = Fault::on(place.route()).act(Action::Revoke);
        scene.w.hub.faults().add(fault);
        let error = scene.run().unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Unauthorized,
            "{place:?}: {error:?}"
        );
        assert_eq!(scene.state(), before);
        let token = scene.w.hub.add_token("alice", Role::Write);
        scene.ours.set_token(token.parse().unwrap());
        scene.run().unwrap();
        scene.arrived(&content, &"another token");
    }
}

#[test]
fn parts_that_make_no_sense_are_refused_and_those_that_do_are_taken() {
    for (fault, survives) in [
        (LfsFault::ExtraHeader, true),
        (LfsFault::MissingPart, false),
    ] {
        let mut scene = Scene::new(Place::Part);
        let content = scene.change();
        scene
            .w
            .hub
            .faults()
            .add(Fault::on(Route::LfsBatch).act(fault));
        let result = scene.run();
        assert_eq!(result.is_ok(), survives, "{fault:?}: {result:?}");
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
        scene.run().unwrap();
        scene.arrived(&content, &"then");
        scene.end();
    }
}

//! Moving objects to and from a server.
//!
//! | file | concern |
//! |---|---|
//! | `schedule` | which object comes next, with actions asked for just before they are used |
//! | `wire` | requests as a server's actions want them, and what their refusal means |
//! | `basic` | one PUT or GET for an object; downloads go on where they stopped |
//! | `multipart` | one PUT for each part, the Hub's way for large files |
//! | `arrivals` | small downloads, which are stored together |
//! | `agents` | objects that programs of the user move |
//! | `journal` | what of a multipart upload is done, kept across processes |

mod agents;
mod arrivals;
mod basic;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod journal;
mod multipart;
mod schedule;
mod wire;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;

use super::agent::{AgentConfig, Crew};
use super::api::{self, Actions, Answer, Answers, Question};
use super::meter::Meter;
use super::partial::{Folder, Partial};
use super::settings::TransferSettings;
use super::store::Store;
use super::{Job, Object, Outcome, Report, io_error, total_bytes};
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::http::Client;
use crate::progress::{Direction, Event};
use crate::url::Url;
use agents::Crews;
use arrivals::Arrivals;
use journal::Journals;
use multipart::Plan;
use schedule::{Schedule, Task};
use wire::Stop;

/// What moving needs besides the job.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) client: &'a Client,
    pub(super) lfs: &'a Url,
    pub(super) store: &'a Store,
    pub(super) settings: &'a TransferSettings,
    /// Where the journals of multipart uploads are kept.
    pub(super) journals: &'a Path,
    pub(super) agents: &'a AgentConfig,
}

/// One server and one store, for the time of a job.
struct Transfer<'a> {
    /// Its requests end when the job is cancelled.
    client: Client,
    lfs: &'a Url,
    store: &'a Store,
    settings: &'a TransferSettings,
    journals: Journals<'a>,
    agents: &'a AgentConfig,
    crews: Crews<'a>,
    /// Where downloads are on their way, once there are any.
    incomplete: OnceLock<Folder>,
    job: &'a Job<'a>,
    direction: Direction,
}

/// How an object is moved.
enum Way<'a> {
    /// By a single request.
    Basic(Box<Actions>),
    /// In parts.
    Multipart(Box<Plan>),
    /// By a program of the user.
    Agent(Arc<Crew<'a>>, Box<Actions>),
}

/// Uploads what the server lacks. If it lacks something that is missing here too, nothing is sent.
pub(super) fn upload(means: Means<'_>, job: &Job<'_>) -> Result<Report> {
    let transfer = Transfer::new(means, job, Direction::Upload)?;
    let (here, gone): (Vec<Object>, Vec<Object>) = job
        .objects
        .iter()
        .partition(|object| means.store.contains(**object));
    let mut report = Report::default();
    for objects in gone.chunks(api::BATCH) {
        for (object, answer) in transfer.ask(objects)?.objects {
            let outcome = match answer {
                Answer::Nothing => Outcome::AlreadyThere,
                Answer::Transfer(_) => Outcome::Failed(lost(object)),
                Answer::Refused(error) => Outcome::Failed(error),
            };
            report.outcomes.push((object, outcome));
        }
    }
    if !report
        .outcomes
        .iter()
        .any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    {
        report.outcomes.extend(transfer.run(here)?);
    }
    Ok(report)
}

/// Downloads what the store lacks.
pub(super) fn download(means: Means<'_>, job: &Job<'_>) -> Result<Report> {
    let transfer = Transfer::new(means, job, Direction::Download)?;
    let (here, wanted): (Vec<Object>, Vec<Object>) = job
        .objects
        .iter()
        .partition(|object| means.store.contains(**object));
    let mut outcomes: Vec<_> = here
        .into_iter()
        .map(|object| (object, Outcome::AlreadyThere))
        .collect();
    outcomes.extend(transfer.run(wanted)?);
    Ok(Report { outcomes })
}

fn lost(object: Object) -> Error {
    Error::new(
        ErrorKind::LfsObjectMissing,
        format!(
            "the LFS object {} is neither here nor on the server",
            object.oid
        ),
    )
    .with_hint("find a clone that has the file and push it from there, or restage the file")
}

impl<'a> Transfer<'a> {
    fn new(means: Means<'a>, job: &'a Job<'a>, direction: Direction) -> Result<Self> {
        Ok(Self {
            client: means
                .client
                .with_retry(job.cancel, means.settings.retry())?,
            lfs: means.lfs,
            store: means.store,
            settings: means.settings,
            journals: Journals::new(means.journals, means.lfs),
            agents: means.agents,
            crews: Crews::default(),
            incomplete: OnceLock::new(),
            job,
            direction,
        })
    }

    fn ask(&self, objects: &[Object]) -> Result<Answers> {
        let transfers: Vec<&str> = if self.settings.basic_only {
            vec!["basic"]
        } else {
            // What the user has set up comes first.
            let agents = self.agents.offered(self.direction);
            let agents = agents.map(|agent| agent.name.as_str());
            agents.chain(api::BUILT_IN).collect()
        };
        let question = Question {
            direction: self.direction,
            ref_name: self.job.ref_name,
            transfers: &transfers,
            objects,
        };
        api::batch(&self.client, self.lfs, question)
    }

    /// Moves the objects, the largest first: the last to finish should be small.
    fn run(&self, mut objects: Vec<Object>) -> Result<Vec<(Object, Outcome)>> {
        objects.sort_by_key(|object| std::cmp::Reverse(object.size));
        let direction = self.direction;
        let bytes = total_bytes(&objects);
        let count = objects.len();
        self.job.progress.report(|| Event::TransferStarted {
            direction,
            objects: count,
            bytes,
        });
        let mut schedule = Schedule::new(self, objects);
        if direction == Direction::Upload {
            schedule.resume(self.journals.list());
        }
        let arrivals = Arrivals::default();
        thread::scope(|scope| {
            for seat in 0..self.settings.concurrent.min(count) {
                let (schedule, arrivals) = (&schedule, &arrivals);
                scope.spawn(move || self.work(seat, schedule, arrivals));
            }
        });
        self.job.cancel.check()?;
        self.crews.finish();
        arrivals.store_waiting(&schedule);
        arrivals.finish(self.job.cancel)?;
        schedule.into_outcomes()
    }

    fn work(&self, seat: usize, schedule: &Schedule<'_, 'a>, arrivals: &Arrivals) {
        while let Some((mut task, way)) = schedule.next() {
            let moved = self.move_object(seat, &task, &way);
            if self.job.cancel.is_cancelled() {
                return;
            }
            match moved {
                Ok(None) => {
                    task.meter.finished();
                    schedule.ended(&task, Outcome::Transferred);
                }
                Ok(Some(partial)) => arrivals.add(task, partial, schedule),
                // The URL may only have expired.
                Err(Stop::Refused(error)) => {
                    let begun = matches!(way, Way::Multipart(_));
                    schedule.again(task, error, begun);
                }
                Err(Stop::Late) => schedule.put_back(task),
                Err(Stop::Failed(error))
                    if io_error(&error).is_some_and(fs::may_be_out_of_files)
                        && task.may_wait_for_files() =>
                {
                    arrivals.store_waiting(schedule);
                    schedule.put_back(task);
                }
                Err(Stop::Failed(error)) => schedule.ended(&task, Outcome::Failed(error)),
            }
        }
    }

    /// Moves an object; a download that is still to be stored comes back.
    fn move_object(
        &self,
        seat: usize,
        task: &Task,
        way: &Way<'_>,
    ) -> Result<Option<Partial>, Stop> {
        let object = task.object;
        match (self.direction, way) {
            (Direction::Download, Way::Basic(actions)) => {
                return self.get(object, actions, &task.meter);
            }
            (Direction::Upload, Way::Basic(actions)) => {
                self.put(object, actions, &task.meter)?;
                self.verify(object, actions.verify.as_ref(), actions.authenticated)
            }
            (_, Way::Multipart(plan)) => self.put_parts(object, plan, &task.meter),
            (_, Way::Agent(crew, actions)) => self.by_agent(crew, seat, task, actions),
        }
        .map(|()| None)
    }

    fn meter(&self, object: Object) -> Arc<Meter> {
        Meter::new(self.job, self.direction, object)
    }

    /// How an object is moved by what the server says of it.
    fn way(
        &self,
        object: Object,
        actions: Actions,
        crew: Option<&Arc<Crew<'a>>>,
    ) -> Result<Way<'a>> {
        if let Some(crew) = crew {
            return Ok(Way::Agent(Arc::clone(crew), Box::new(actions)));
        }
        if self.direction == Direction::Upload
            && let Some(plan) = Plan::read(object, &actions)?
        {
            let plan = Box::new(self.journals.begin(object, plan));
            return Ok(Way::Multipart(plan));
        }
        Ok(Way::Basic(Box::new(actions)))
    }
}

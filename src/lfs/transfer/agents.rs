//! Objects that a server lets programs of the user move.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Transfer;
use super::schedule::Task;
use super::wire::Stop;
use crate::error::{ErrorKind, Result};
use crate::lfs::Object;
use crate::lfs::agent::Crew;
use crate::lfs::api::{Actions, Answer, Answers};
use crate::progress::Direction;

/// The agents that a server has chosen for a job so far, at work.
#[derive(Default)]
pub(super) struct Crews<'a>(Mutex<Vec<Arc<Crew<'a>>>>);

impl<'a> Crews<'a> {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Crew<'a>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets all of them end.
    pub(super) fn finish(&self) {
        for crew in std::mem::take(&mut *self.all()) {
            crew.finish();
        }
    }
}

impl<'a> Transfer<'a> {
    /// Asks how to move objects. If the answer is an agent, it is at work when this returns.
    ///
    /// An agent that does not want to bring objects is not offered again: some are set up for both
    /// ways, but go only one, and the server has other ways, too.
    pub(super) fn ask_to_move(
        &self,
        objects: &[Object],
    ) -> Result<(Answers, Option<Arc<Crew<'a>>>)> {
        loop {
            let answers = self.ask(objects)?;
            let moves = |(_, answer): &(Object, Answer)| matches!(answer, Answer::Transfer(_));
            if !answers.objects.iter().any(moves) {
                return Ok((answers, None));
            }
            match self.crew(&answers.transfer) {
                Ok(crew) => return Ok((answers, crew)),
                Err(error) if self.direction == Direction::Upload => return Err(error),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => {
                    let name = &answers.transfer;
                    tracing::warn!(name, %error, "a transfer agent does not bring objects");
                    self.agents.refuse_downloads(name);
                }
            }
        }
    }

    /// The agent of that name at work; `None` for what is done in process.
    fn crew(&self, transfer: &str) -> Result<Option<Arc<Crew<'a>>>> {
        let mut crews = self.crews.all();
        if let Some(crew) = crews.iter().find(|crew| crew.name() == transfer) {
            return Ok(Some(Arc::clone(crew)));
        }
        let mut offered = self.agents.offered(self.direction);
        let Some(spec) = offered.find(|agent| agent.name == transfer) else {
            return Ok(None);
        };
        let concurrent = self.settings.concurrent;
        let agents = self
            .agents
            .start(spec, self.job, self.direction, concurrent);
        let crew = Arc::new(Crew::start(agents, self.store)?);
        crews.push(Arc::clone(&crew));
        Ok(Some(crew))
    }

    /// Has an object moved by an agent, and tells the server.
    pub(super) fn by_agent(
        &self,
        crew: &Crew<'_>,
        seat: usize,
        task: &Task,
        actions: &Actions,
    ) -> Result<(), Stop> {
        let seat = crew.sit(seat);
        if task.is_over(Instant::now()) {
            // The agent was busy.
            return Err(Stop::Late);
        }
        task.meter.begins(0);
        seat.move_object(task.object, Some(&actions.transfer), &task.meter)?;
        match self.direction {
            Direction::Upload => {
                self.verify(task.object, actions.verify.as_ref(), actions.authenticated)
            }
            Direction::Download => Ok(()),
        }
    }
}

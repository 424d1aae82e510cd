use std::path::PathBuf;

use super::Repository;
use crate::card::{self, ModelCard};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind};
use crate::lfs::pointer::Pointer;

/// The model card.
impl Repository {
    /// The card in the work tree's `README.md`; `None` if there is no such file.
    ///
    /// ```no_run
    /// use hf_repository::{ModelCard, Repository};
    /// let repo = Repository::open("out")?;
    /// let mut card = repo.model_card()?.map_or_else(|| ModelCard::parse("# My model\n"), Ok)?;
    /// card.set("license", "apache-2.0")?;
    /// repo.set_model_card(&card)?; // the next save commits it
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is a link or something else that is no file, no text, too long,
    /// or what [`ModelCard::parse`] refuses; [`ErrorKind::LfsObjectMissing`] if it is a pointer file.
    pub fn model_card(&self) -> Result<Option<ModelCard>> {
        let Some(file) = self.card_file()? else {
            return Ok(None);
        };
        let Some(bytes) = fs::read_start(&file, card::LIMIT + 1)? else {
            return Ok(None);
        };
        if bytes.len() as u64 > card::LIMIT {
            return Err(card::too_long());
        }
        if !bytes.is_empty() && Pointer::parse(&bytes).is_ok() {
            let text = format!("{} is a pointer to its content", file.display());
            return Err(Error::new(ErrorKind::LfsObjectMissing, text)
                .with_hint("call fetch_content([\"README.md\"]) first"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let text = format!("{} is no UTF-8 text", file.display());
            Error::new(ErrorKind::InvalidInput, text).with_source(error)
        })?;
        ModelCard::parse(&text).map(Some)
    }

    /// Writes the card to the work tree's `README.md`, whole or not at all. It is committed by the next
    /// [`save`](Self::save), or by [`stage`](Self::stage) and [`commit`](Self::commit).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a link or something else that is no file is in its place.
    pub fn set_model_card(&self, card: &ModelCard) -> Result<()> {
        self.settle();
        let _lock = self.local.lock(&[])?;
        self.card_file()?;
        let file = self.workdir().join(NAME);
        fs::atomic_write_by_way_of(&self.local.private(), &file, card.to_string().as_bytes())
    }

    /// The file, if there is one. A repository may come with a link to any file of this machine.
    fn card_file(&self) -> Result<Option<PathBuf>> {
        let file = self.workdir().join(NAME);
        match fs::lstat(&file)? {
            None => Ok(None),
            Some(stat) if stat.kind == FileKind::File => Ok(Some(file)),
            Some(_) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "cannot use {} as a model card: it is no plain file",
                    file.display()
                ),
            )
            .with_hint("put a file in its place")),
        }
    }
}

/// Where the Hub looks for the card.
const NAME: &str = "README.md";

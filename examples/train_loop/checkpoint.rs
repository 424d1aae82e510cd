//! Checkpoints in the safetensors format: <https://huggingface.co/docs/safetensors>.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use crate::model::Model;

const FILE: &str = "model.safetensors";

/// Writes the weights and the training state; returns a digest of the weights' file.
pub(crate) fn write(folder: &Path, model: &Model, step: usize, loss: f32) -> io::Result<u64> {
    let state = format!("{{\n  \"step\": {step},\n  \"loss\": {loss:.4}\n}}\n");
    fs::write(folder.join("trainer_state.json"), state)?;
    let [rows, columns] = model.shape();
    let bytes = model.weights().len() * 4;
    let mut header = format!(
        "{{\"__metadata__\":{{\"step\":\"{step}\"}},\"logits\":{{\"dtype\":\"F32\",\
         \"shape\":[{rows},{columns}],\"data_offsets\":[0,{bytes}]}}}}"
    );
    // The data begins at a multiple of eight.
    header.push_str(&" ".repeat((8 - header.len() % 8) % 8));
    let mut file = BufWriter::with_capacity(1 << 20, File::create(folder.join(FILE))?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for weight in model.weights() {
        file.write_all(&weight.to_le_bytes())?;
    }
    file.into_inner()?;
    digest(folder)
}

/// A digest of the checkpoint in a folder.
pub(crate) fn digest(folder: &Path) -> io::Result<u64> {
    file_digest(&folder.join(FILE))
}

pub(crate) fn file_digest(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut hasher = DefaultHasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.write(&buffer[..count]),
        }
    }
}

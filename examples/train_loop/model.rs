//! A model small enough to train in a moment, with as many weights as one likes.

/// Characters it tells apart; all others are one more.
const SYMBOLS: usize = 128;
/// How many characters it looks back.
const CONTEXT: usize = 4;
/// Positions of the text that one step learns from.
const BATCH: usize = 4096;
const LEARNING_RATE: f32 = 0.5;

/// A table of logits for the next character, one row per hashed context: softmax regression,
/// trained by stochastic gradient descent.
pub(crate) struct Model {
    weights: Vec<f32>,
    rows: usize,
    position: usize,
}

impl Model {
    /// A model with about this many bytes of weights.
    pub(crate) fn new(bytes: usize) -> Self {
        let rows = (bytes / 4 / SYMBOLS).max(1);
        // Small and different, so that a checkpoint is not a file of zeros.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 24) as f32 * 0.02 - 0.01
        };
        let weights = (0..rows * SYMBOLS).map(|_| noise()).collect();
        Self {
            weights,
            rows,
            position: 0,
        }
    }

    /// The shape of the table: contexts and characters.
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.rows, SYMBOLS]
    }

    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Learns from the next piece of the text; returns the mean loss in nats per character.
    pub(crate) fn train_step(&mut self, text: &[u8]) -> f32 {
        let mut loss = 0.0;
        for _ in 0..BATCH {
            let end = self.position + CONTEXT;
            if end >= text.len() {
                self.position = 0;
                continue;
            }
            loss += self.learn(&text[self.position..end], symbol(text[end]));
            self.position += 1;
        }
        loss / BATCH as f32
    }

    fn learn(&mut self, context: &[u8], next: usize) -> f32 {
        // FNV-1a.
        let hash = context
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let row = (hash % self.rows as u64) as usize * SYMBOLS;
        let logits = &mut self.weights[row..row + SYMBOLS];
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        let mut chances = [0.0_f32; SYMBOLS];
        let mut sum = 0.0;
        for (chance, logit) in chances.iter_mut().zip(logits.iter()) {
            *chance = (logit - largest).exp();
            sum += *chance;
        }
        for (index, (logit, chance)) in logits.iter_mut().zip(&chances).enumerate() {
            let wanted = if index == next { 1.0 } else { 0.0 };
            *logit -= LEARNING_RATE * (chance / sum - wanted);
        }
        -(chances[next] / sum).max(f32::MIN_POSITIVE).ln()
    }
}

fn symbol(byte: u8) -> usize {
    usize::from(byte).min(SYMBOLS - 1)
}

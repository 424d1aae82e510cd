//! Requests that leave in one piece.
//!
//! ureq writes the head of a request, and then the beginning of its body: two packets, and a server that is
//! woken twice. Here the head waits for what follows. A push of 5,000 LFS objects of 10 KiB has 10,000 of them.

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Larger heads do not wait.
const LARGEST: usize = 64 << 10;

/// Makes connections [`Together`] of those of another connector.
#[derive(Debug)]
pub(super) struct HeadWithBody;

impl<In: Transport> Connector<In> for HeadWithBody {
    type Out = Together<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(chained.map(Together::over))
    }
}

/// A connection where what is sent first waits for what is sent next, or until an answer is wanted.
#[derive(Debug)]
pub(super) struct Together<T> {
    inner: T,
    /// What waits.
    head: Vec<u8>,
    /// Whether a request has begun, so that nothing waits any more.
    begun: bool,
}

impl<T: Transport> Together<T> {
    fn over(inner: T) -> Self {
        Self {
            inner,
            head: Vec::new(),
            begun: false,
        }
    }

    /// Sends bytes that are not in the buffer.
    fn send(&mut self, bytes: &[u8], timeout: NextTimeout) -> Result<(), ureq::Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.inner.buffers().output()[..bytes.len()].copy_from_slice(bytes);
        self.inner.transmit_output(bytes.len(), timeout)
    }
}

impl<T: Transport> Transport for Together<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let output = self.inner.buffers().output();
        let begun = std::mem::replace(&mut self.begun, true);
        if !begun && amount <= LARGEST.min(output.len() / 2) {
            self.head.extend_from_slice(&output[..amount]);
            return Ok(());
        }
        if self.head.is_empty() {
            return self.inner.transmit_output(amount, timeout);
        }
        let head = std::mem::take(&mut self.head);
        // What has no room behind the head follows by itself.
        let fits = amount.min(output.len() - head.len());
        let rest = output[fits..amount].to_vec();
        output.copy_within(..fits, head.len());
        output[..head.len()].copy_from_slice(&head);
        self.inner.transmit_output(head.len() + fits, timeout)?;
        self.send(&rest, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.begun = false;
        let head = std::mem::take(&mut self.head);
        self.send(&head, timeout)?;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use ureq::unversioned::transport::LazyBuffers;

    use super::*;

    /// Keeps what is sent, write by write.
    #[derive(Debug)]
    struct Kept {
        buffers: LazyBuffers,
        sent: Vec<Vec<u8>>,
    }

    impl Transport for Kept {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
            self.sent.push(self.buffers.output()[..amount].to_vec());
            Ok(())
        }

        fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
            self.sent.push(b"?".to_vec());
            Ok(true)
        }

        fn is_open(&mut self) -> bool {
            true
        }
    }

    fn kept() -> Together<Kept> {
        Together::over(Kept {
            buffers: LazyBuffers::new(16, 16),
            sent: Vec::new(),
        })
    }

    fn write(to: &mut Together<Kept>, text: &str) {
        to.buffers().output()[..text.len()].copy_from_slice(text.as_bytes());
        to.transmit_output(text.len(), NextTimeout::default())
            .expect("kept");
    }

    fn answer(to: &mut Together<Kept>) {
        assert!(to.await_input(NextTimeout::default()).expect("an answer"));
    }

    fn sent(by: &Together<Kept>) -> Vec<String> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        by.inner.sent.iter().map(text).collect()
    }

    #[test]
    fn a_head_goes_with_the_beginning_of_its_body() {
        let mut connection = kept();
        for _ in 0..2 {
            write(&mut connection, "head ");
            write(&mut connection, "body");
            write(&mut connection, "more");
            answer(&mut connection);
            answer(&mut connection);
        }
        let once = ["head body", "more", "?", "?"];
        assert_eq!(sent(&connection), [once, once].concat());
    }

    #[test]
    fn a_head_without_body_goes_when_the_answer_is_wanted() {
        let mut connection = kept();
        write(&mut connection, "head");
        assert!(sent(&connection).is_empty());
        answer(&mut connection);
        assert_eq!(sent(&connection), ["head", "?"]);
    }

    #[test]
    fn nothing_is_lost_where_the_buffer_is_full() {
        let mut connection = kept();
        write(&mut connection, "head ");
        write(&mut connection, "0123456789abcdef");
        answer(&mut connection);
        assert_eq!(sent(&connection), ["head 0123456789a", "bcdef", "?"]);
        write(&mut connection, "a large head");
        assert_eq!(sent(&connection).last().expect("sent"), "a large head");
        write(&mut connection, "body");
        answer(&mut connection);
        assert_eq!(sent(&connection)[3..], ["a large head", "body", "?"]);
    }
}

//! The numbered parts of a completion: `reward.segments.cut`.

use cohort_core::{Sample, StopReason};
use cohort_env::Codec;

use crate::recipe::low::Cut;

/// The part that every action of a sample belongs to. A token that holds an end of line belongs to the line that it ends.
pub fn of(cut: Cut, codec: &dyn Codec, sample: &Sample) -> Vec<u32> {
    let Cut::Lines { most } = cut;
    let (mut line, mut holds, mut has_ended) = (0, false, false);
    let number = |action: &cohort_core::Action| {
        let text = action.token().map_or(String::new(), |id| codec.decode(&[id]));
        for c in text.chars() {
            if !c.is_whitespace() {
                line += u32::from(has_ended);
                (holds, has_ended) = (true, false);
            } else if c == '\n' && holds {
                (holds, has_ended) = (false, true);
            }
        }
        line.min(most)
    };
    let mut parts: Vec<u32> = sample.actions.iter().map(number).collect();
    if let (StopReason::End(_), Some(end)) = (sample.stop, parts.last_mut()) {
        *end = most;
    }
    parts
}

#[cfg(test)]
mod tests {
    use cohort_core::{Action, Context};
    use cohort_env::CodecError;

    use super::*;

    /// An id a character of its number; 0 ends.
    struct Letters;

    impl Codec for Letters {
        fn encode(&self, text: &str) -> Result<Vec<u32>, CodecError> {
            Ok(text.chars().map(u32::from).collect())
        }

        fn decode(&self, tokens: &[u32]) -> String {
            tokens.iter().filter(|&&id| id > 0).filter_map(|&id| char::from_u32(id)).collect()
        }

        fn end_of_sequence(&self) -> Option<u32> {
            Some(0)
        }
    }

    fn parts(text: &str, most: u32, stop: StopReason) -> Vec<u32> {
        let mut sample = Sample::given(Context::of_tokens([1]), &Letters.encode(text).unwrap());
        if let StopReason::End(id) = stop {
            sample.actions.push(Action::sampled(id));
        }
        sample.stop = stop;
        of(Cut::Lines { most }, &Letters, &sample)
    }

    #[test]
    fn a_line_has_its_end_and_the_blank_lines_after_it() {
        assert_eq!(parts("ab\nc", 3, StopReason::Length), [0, 0, 0, 1]);
        assert_eq!(parts("a\n\n b\n", 3, StopReason::Length), [0, 0, 0, 0, 1, 1]);
        assert_eq!(parts("\n\na\nb", 3, StopReason::Length), [0, 0, 0, 0, 1]);
    }

    #[test]
    fn the_end_and_what_is_beyond_are_the_part_after_the_last() {
        assert_eq!(parts("a\nb", 2, StopReason::End(0)), [0, 0, 1, 2]);
        assert_eq!(parts("a", 2, StopReason::End(0)), [0, 2]);
        assert_eq!(parts("a\nb\nc\nd", 2, StopReason::Length), [0, 0, 1, 1, 2, 2, 2]);
        assert_eq!(parts("", 2, StopReason::End(0)), [2]);
    }
}

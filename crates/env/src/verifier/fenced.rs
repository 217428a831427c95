//! Fenced blocks, as Markdown writes code.

/// The text of the last fenced block of `completion`, whatever its language tag; `None` where there is no fence.
///
/// A fence is a line of three or more backticks or tildes, with any indentation; it ends at a line of the same mark, at least as
/// long, with nothing else on it. A block that the completion does not close ends with the completion, but for a
/// mark that stands at the end of its last line.
pub fn last_block(completion: &str) -> Option<&str> {
    let mut last = None;
    let mut open: Option<(&str, usize)> = None;
    let mut at = 0;
    for line in completion.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        let Some((mark, info)) = fence(line) else { continue };
        match open {
            None if !(mark.starts_with('`') && info.contains('`')) => open = Some((mark, end)),
            Some((opened, from)) if info.is_empty() && mark.len() >= opened.len() && mark[..1] == opened[..1] => {
                last = Some(&completion[from..start]);
                open = None;
            }
            None | Some(_) => {}
        }
    }
    match open {
        Some((mark, from)) => {
            let rest = &completion[from..];
            Some(rest.trim_end().strip_suffix(mark).unwrap_or(rest))
        }
        None => last,
    }
}

/// The last fenced block, or the whole completion where there is none.
pub fn block_or_all(completion: &str) -> &str {
    last_block(completion).unwrap_or(completion)
}

/// The mark that a line starts with and what follows it, without blanks around.
fn fence(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let first = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let info = line.trim_start_matches(first);
    let mark = &line[..line.len() - info.len()];
    (mark.len() >= 3).then_some((mark, info.trim()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_block_counts_whatever_its_tag() {
        for (completion, block) in [
            ("Here:\n```python\nprint(1)\n```\nDone.", Some("print(1)\n")),
            ("```\na\n```\n```json\n{}\n```", Some("{}\n")),
            ("```python\r\nx\r\n```\r\n", Some("x\r\n")),
            ("  ```py\n  x\n  ```", Some("  x\n")),
            ("~~~\n```\n~~~", Some("```\n")),
            ("````\n```\nin\n```\n````", Some("```\nin\n```\n")),
            ("```\n```", Some("")),
            ("```verilog\nmodule m;", Some("module m;")),
            ("```sql\nSELECT 1```", Some("SELECT 1")),
            ("```a\n1\n```\n```b\n2", Some("2")),
            ("use `x` or ```x``` inline", None),
            ("```x``` y", None),
            ("``\nx\n``", None),
            ("", None),
        ] {
            assert_eq!(last_block(completion), block, "{completion:?}");
        }
        assert_eq!(block_or_all("SELECT 1"), "SELECT 1");
    }

    proptest! {
        #[test]
        fn any_text_has_one_or_none(text in "(```|~~~|`|[a-z]|\n| |é){0,40}", block in "[a-z\n]{0,20}\n") {
            if let Some(found) = last_block(&text) {
                prop_assert!(text.contains(found));
            }
            let written = format!("said\n```rust\n{block}```\n");
            prop_assert_eq!(last_block(&written), Some(block.as_str()));
        }
    }
}

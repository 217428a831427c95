//! The order of tags in a text, with what stands in them. A step budget is not needed: one walk over the text.

/// A tag of the text: where it starts, where it ends, what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark<'a> {
    Open(&'a str),
    Close(&'a str),
}

/// The opening and closing marks of `names` in a text, from left to right, with where they start and end.
pub(super) fn marks<'a>(text: &'a str, names: &[String]) -> Vec<(Mark<'a>, usize, usize)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices('<') {
        let rest = &text[start + 1..];
        let (closes, rest) = rest.strip_prefix('/').map_or((false, rest), |rest| (true, rest));
        // The longest name there could be bounds the look for a bracket.
        let longest = names.iter().map(String::len).max().unwrap_or(0);
        let Some(end) = rest.bytes().take(longest + 1).position(|b| b == b'>') else { continue };
        let name = &rest[..end];
        if names.iter().any(|known| known == name) {
            let mark = if closes { Mark::Close(name) } else { Mark::Open(name) };
            found.push((mark, start, start + 1 + usize::from(closes) + end + 1));
        }
    }
    found
}

/// A tag with what it holds.
#[derive(Debug)]
pub(super) struct Element<'a> {
    pub name: &'a str,
    pub inside: Vec<Element<'a>>,
    /// What stands in it, its tags included.
    pub text: &'a str,
    pub from: usize,
    pub to: usize,
}

/// The elements of a text in which every tag is closed before the one around it; `None` of any other.
pub(super) fn elements<'a>(text: &'a str, names: &[String]) -> Option<Vec<Element<'a>>> {
    let (mut open, mut done): (Vec<Element>, Vec<Element>) = (Vec::new(), Vec::new());
    for (mark, start, end) in marks(text, names) {
        match mark {
            // A recipe's grammar is no deeper; and so no text makes the walk over elements deep.
            Mark::Open(_) if open.len() == 64 => return None,
            Mark::Open(name) => open.push(Element { name, inside: Vec::new(), text: "", from: start, to: end }),
            Mark::Close(name) => {
                let mut element = open.pop().filter(|element| element.name == name)?;
                element.text = &text[element.to..start];
                element.to = end;
                open.last_mut().map_or(&mut done, |around| &mut around.inside).push(element);
            }
        }
    }
    open.is_empty().then_some(done)
}

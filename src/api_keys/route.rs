//! A matched route as it is remembered: in place, so that remembering never allocates.

use std::hash::{Hash, Hasher};

/// The first 64 bytes of a route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Route {
    length: u8,
    text: [u8; LONGEST],
}

impl Route {
    pub(crate) fn of(route: &str) -> Self {
        let mut end = route.len().min(LONGEST);
        while !route.is_char_boundary(end) {
            end -= 1;
        }
        let mut text = [0; LONGEST];
        text[..end].copy_from_slice(&route.as_bytes()[..end]);
        // Not every store keeps every control character.
        text[..end].iter_mut().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b'?');
        // At most 64.
        Self { length: end as u8, text }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.text[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl Hash for Route {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Most routes are short, and what follows them is zero.
        state.write(&self.text[..usize::from(self.length)]);
    }
}

const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_routes_are_cut_between_characters() {
        let route = format!("/{}", "é".repeat(40));

        assert_eq!(Route::of(&route).text(), format!("/{}", "é".repeat(31)));
        assert_eq!(Route::of("").text(), "");
        assert_eq!(Route::of("/a\0b\nc").text(), "/a?b?c");
    }
}

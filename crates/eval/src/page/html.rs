//! Markup whose text cannot become markup.
//!
//! Names of elements and attributes, and what is written as it stands, are constants of this program (`&'static str`); everything else is
//! escaped on its way in. Elements are closed by the call that opened them, so a page is always well formed.

use crate::review::visible;

/// A piece of a page.
#[derive(Debug, Default)]
pub(super) struct Html(String);

/// Attributes of an element.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Html {
    /// The finished text.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Markup of this program's own, as it stands.
    pub(super) fn constant(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Text from anywhere. Marks that turn the direction of writing and control characters are shown by their numbers.
    pub(super) fn text(&mut self, text: &str) {
        for c in visible(text).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(c),
            }
        }
    }

    /// An element with what is in it.
    pub(super) fn within(&mut self, name: &'static str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Self)) {
        self.begin(name, attributes);
        self.0.push('>');
        inside(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element that holds text.
    pub(super) fn element(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.within(name, attributes, |html| html.text(text));
    }

    /// An element that holds nothing and needs no end.
    pub(super) fn void(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.begin(name, attributes);
        self.0.push_str("/>");
    }

    fn begin(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(name);
        for (key, value) in attributes {
            self.0.push(' ');
            self.0.push_str(key);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut html = Html::default();
        html.element("p", &[("title", "\"><script>")], "</p><img src=x onerror='a()'>&\u{202E}\0");
        assert_eq!(
            html.into_text(),
            "<p title=\"&quot;&gt;&lt;script&gt;\">&lt;/p&gt;&lt;img src=x onerror=&#39;a()&#39;&gt;&amp;⟨U+202E⟩⟨U+0000⟩</p>"
        );
    }
}

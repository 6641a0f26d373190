//! URLs as messages show them: without user and password.
//!
//! What a workflow prints or fails with is read by many.

use std::fmt;

use url::Url;

/// A URL that is shown without user and password.
pub(super) struct Shown<'a>(pub &'a Url);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        if matches!(url.scheme(), "http" | "https") {
            // Neither fails: these have a host.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            f.write_str(url.as_str())
        } else {
            // `user:password@host` is a URL, too, of the scheme `user`.
            f.write_str(&without_user(url.as_str()))
        }
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// What was meant to be a URL, without what may be user and password.
///
/// Nobody knows where they end in such a text, which may be none because of
/// them: all is left out from the scheme to the last `@`.
pub(super) fn without_user(text: &str) -> String {
    let Some((before, after)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        before
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    format!("{}{after}", scheme.unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        Shown(&Url::parse(url).unwrap()).to_string()
    }

    #[test]
    fn a_url_is_shown_without_user_and_password() {
        for user in [
            "",
            "me@",
            "me:@",
            ":secret@",
            "me:secret@",
            "me:p@ss:w%2Frd@",
        ] {
            assert_eq!(
                shown(&format!("https://{user}shop.example:444/a@b?c=d@e#f")),
                "https://shop.example:444/a@b?c=d@e#f"
            );
        }
        assert_eq!(shown("http:\\\\me:secret@[::1]/"), "http://[::1]/");
        let url = Url::parse("https://me:secret@shop.example/").unwrap();
        assert_eq!(format!("{:?}", Shown(&url)), "\"https://shop.example/\"");
    }

    #[test]
    fn other_urls_are_shown_without_what_may_be_a_user() {
        assert_eq!(shown("me:secret@shop.example/"), "shop.example/");
        assert_eq!(shown("ftp://me:secret@shop.example/"), "shop.example/");
        assert_eq!(shown("data:text/plain,hello"), "data:text/plain,hello");
    }

    #[test]
    fn a_text_that_is_no_url_is_shown_without_what_may_be_a_user() {
        for (text, left) in [
            ("shop.example", "shop.example"),
            ("https://", "https://"),
            (
                "HTTPS://me:se/c?r#e@t@shop.example:x/",
                "https://shop.example:x/",
            ),
            ("http://me:secret@", "http://"),
            ("//me:secret@shop.example", "shop.example"),
            (" http://me:secret@a b/", "a b/"),
            ("ü@shop.example:x", "shop.example:x"),
        ] {
            assert_eq!(without_user(text), left);
        }
    }
}

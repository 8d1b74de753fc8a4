//! The element names that the parsing rules or the extraction ask about, and their classes.

/// Stays open although a misnested end tag would close what is around it.
pub const SPECIAL: u16 = 1;
/// Ends the search for an element in scope.
pub const SCOPE: u16 = 1 << 1;
/// Closed by the end of an element around it.
pub const IMPLIED: u16 = 1 << 2;
/// Closed by the end of a template around it.
pub const THOROUGH: u16 = 1 << 3;
/// Part of a table: misplaced content inside it is moved before the table.
pub const TABLE: u16 = 1 << 4;
/// Reported to the sink when it opens.
pub const OPEN: u16 = 1 << 5;
/// Reported to the sink when it closes.
pub const CLOSE: u16 = 1 << 6;
/// `h1` to `h6`.
pub const HEADING: u16 = 1 << 7;
/// Changes how the tokens after it are read, so it is never dropped alone at the depth limit.
pub const STRUCTURE: u16 = 1 << 8;
/// Starts a line of its own.
pub const LINE: u16 = 1 << 9;
/// Starts a part of the page of its own: text on its other side is about something else.
pub const SECTION: u16 = 1 << 10;
/// May not occur in SVG or MathML: ends them.
pub const BREAKOUT: u16 = 1 << 11;

const BOTH: u16 = OPEN | CLOSE;

macro_rules! tags {
    ($($tag:ident $name:literal $flags:expr,)*) => {
        /// The name of an element, as far as a rule knows it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Tag {
            /// Any other HTML element.
            Other,
            /// Any element that is not in the HTML namespace.
            Foreign,
            $(#[doc = $name] $tag,)*
        }

        const FLAGS: &[u16] = &[0, 0, $($flags,)*];

        #[allow(non_upper_case_globals)]
        mod packed {
            $(pub const $tag: u128 = super::pack($name.as_bytes());)*
        }

        impl Tag {
            /// Finds the tag of a name in any case.
            pub fn of(name: &str) -> Self {
                if name.len() > 16 {
                    return Self::Other;
                }
                match pack(name.as_bytes()) {
                    $(packed::$tag => Self::$tag,)*
                    _ => Self::Other,
                }
            }
        }
    };
}

tags! {
    A "a" OPEN,
    Address "address" SPECIAL | LINE,
    AnnotationXml "annotation-xml" 0,
    Applet "applet" SPECIAL | SCOPE,
    Area "area" SPECIAL | OPEN,
    Article "article" SPECIAL | SECTION,
    Aside "aside" SPECIAL | SECTION,
    B "b" BREAKOUT,
    Base "base" SPECIAL | OPEN,
    Basefont "basefont" SPECIAL,
    Bgsound "bgsound" SPECIAL,
    Big "big" BREAKOUT,
    Blockquote "blockquote" SPECIAL | LINE | BREAKOUT,
    Body "body" SPECIAL | STRUCTURE | BREAKOUT,
    Br "br" SPECIAL | LINE | BREAKOUT,
    Button "button" SPECIAL,
    Caption "caption" SPECIAL | SCOPE | THOROUGH | BOTH | LINE | STRUCTURE,
    Center "center" SPECIAL | LINE | BREAKOUT,
    Code "code" BREAKOUT,
    Col "col" SPECIAL,
    Colgroup "colgroup" SPECIAL | THOROUGH | STRUCTURE,
    Dd "dd" SPECIAL | IMPLIED | THOROUGH | OPEN | LINE | BREAKOUT,
    Desc "desc" 0,
    Details "details" SPECIAL | LINE,
    Dialog "dialog" LINE,
    Dir "dir" SPECIAL | LINE,
    Div "div" SPECIAL | LINE | BREAKOUT,
    Dl "dl" SPECIAL | BOTH | SECTION | BREAKOUT,
    Dt "dt" SPECIAL | IMPLIED | THOROUGH | BOTH | SECTION | BREAKOUT,
    Em "em" BREAKOUT,
    Embed "embed" SPECIAL | BREAKOUT,
    Fieldset "fieldset" SPECIAL | LINE,
    Figcaption "figcaption" SPECIAL | BOTH | LINE,
    Figure "figure" SPECIAL | OPEN | SECTION,
    Font "font" 0,
    Footer "footer" SPECIAL | SECTION,
    ForeignObject "foreignobject" 0,
    Form "form" SPECIAL | LINE,
    Frame "frame" SPECIAL,
    Frameset "frameset" SPECIAL | STRUCTURE,
    H1 "h1" SPECIAL | HEADING | BOTH | SECTION | BREAKOUT,
    H2 "h2" SPECIAL | HEADING | BOTH | SECTION | BREAKOUT,
    H3 "h3" SPECIAL | HEADING | BOTH | SECTION | BREAKOUT,
    H4 "h4" SPECIAL | HEADING | BOTH | SECTION | BREAKOUT,
    H5 "h5" SPECIAL | HEADING | BOTH | SECTION | BREAKOUT,
    H6 "h6" SPECIAL | HEADING | BOTH | SECTION | BREAKOUT,
    Head "head" SPECIAL | STRUCTURE | BREAKOUT,
    Header "header" SPECIAL | SECTION,
    Hgroup "hgroup" SPECIAL | LINE,
    Hr "hr" SPECIAL | SECTION | BREAKOUT,
    Html "html" SPECIAL | SCOPE | STRUCTURE | OPEN,
    I "i" BREAKOUT,
    Iframe "iframe" SPECIAL,
    Image "image" 0,
    Img "img" SPECIAL | OPEN | BREAKOUT,
    Input "input" SPECIAL,
    Isindex "isindex" SPECIAL,
    Keygen "keygen" 0,
    Li "li" SPECIAL | IMPLIED | THOROUGH | SECTION | BREAKOUT,
    Link "link" SPECIAL | OPEN,
    Listing "listing" SPECIAL | LINE | BREAKOUT,
    Main "main" SPECIAL | SECTION,
    Malignmark "malignmark" 0,
    Marquee "marquee" SPECIAL | SCOPE,
    Math "math" STRUCTURE,
    Menu "menu" SPECIAL | LINE | BREAKOUT,
    Meta "meta" SPECIAL | OPEN | BREAKOUT,
    Mglyph "mglyph" 0,
    Mi "mi" 0,
    Mn "mn" 0,
    Mo "mo" 0,
    Ms "ms" 0,
    Mtext "mtext" 0,
    Nav "nav" SPECIAL | SECTION,
    Nobr "nobr" BREAKOUT,
    Noembed "noembed" SPECIAL,
    Noframes "noframes" SPECIAL,
    Noscript "noscript" SPECIAL,
    Object "object" SPECIAL | SCOPE,
    Ol "ol" SPECIAL | LINE | BREAKOUT,
    Optgroup "optgroup" IMPLIED | THOROUGH,
    Option "option" IMPLIED | THOROUGH | LINE,
    P "p" SPECIAL | IMPLIED | THOROUGH | LINE | BREAKOUT,
    Param "param" SPECIAL,
    Picture "picture" OPEN,
    Plaintext "plaintext" SPECIAL,
    Pre "pre" SPECIAL | LINE | BREAKOUT,
    Rb "rb" IMPLIED | THOROUGH,
    Rp "rp" IMPLIED | THOROUGH,
    Rt "rt" IMPLIED | THOROUGH,
    Rtc "rtc" IMPLIED | THOROUGH,
    Ruby "ruby" BREAKOUT,
    S "s" BREAKOUT,
    Script "script" SPECIAL,
    Search "search" LINE,
    Section "section" SPECIAL | SECTION,
    Select "select" SPECIAL | SCOPE | STRUCTURE,
    Small "small" BREAKOUT,
    Source "source" SPECIAL | OPEN,
    Span "span" BREAKOUT,
    Strike "strike" BREAKOUT,
    Strong "strong" BREAKOUT,
    Style "style" SPECIAL,
    Sub "sub" BREAKOUT,
    Summary "summary" SPECIAL | LINE,
    Sup "sup" BREAKOUT,
    Svg "svg" STRUCTURE,
    Table "table" SPECIAL | SCOPE | TABLE | OPEN | SECTION | STRUCTURE | BREAKOUT,
    Tbody "tbody" SPECIAL | THOROUGH | TABLE | STRUCTURE,
    Td "td" SPECIAL | SCOPE | THOROUGH | SECTION | STRUCTURE,
    Template "template" SPECIAL | SCOPE | STRUCTURE,
    Textarea "textarea" SPECIAL,
    Tfoot "tfoot" SPECIAL | THOROUGH | TABLE | STRUCTURE,
    Th "th" SPECIAL | SCOPE | THOROUGH | SECTION | STRUCTURE,
    Thead "thead" SPECIAL | THOROUGH | TABLE | STRUCTURE,
    Title "title" SPECIAL,
    Tr "tr" SPECIAL | THOROUGH | TABLE | SECTION | STRUCTURE,
    Track "track" SPECIAL,
    Tt "tt" BREAKOUT,
    U "u" BREAKOUT,
    Ul "ul" SPECIAL | LINE | BREAKOUT,
    Var "var" BREAKOUT,
    Video "video" OPEN,
    Wbr "wbr" SPECIAL,
    Xmp "xmp" SPECIAL | LINE,
}

impl Tag {
    /// Whether it belongs to one of the classes.
    #[inline]
    pub fn is(self, flags: u16) -> bool {
        FLAGS[self as usize] & flags != 0
    }
}

/// Puts up to 16 bytes of a name, in lower case, into one number.
const fn pack(name: &[u8]) -> u128 {
    let mut key = 0;
    let mut at = 0;
    while at < name.len() {
        key = key << 8 | name[at].to_ascii_lowercase() as u128;
        at += 1;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_only_whole() {
        assert_eq!(Tag::of("IMG"), Tag::Img);
        assert_eq!(Tag::of("annotation-xml"), Tag::AnnotationXml);
        for other in ["im", "imgx", "", "img\0", "a-very-long-custom-element-img"] {
            assert_eq!(Tag::of(other), Tag::Other, "{other}");
        }
    }

    #[test]
    fn classes_are_those_of_the_standard() {
        assert!(Tag::Td.is(SCOPE) && Tag::Td.is(SPECIAL) && !Tag::Td.is(IMPLIED));
        assert!(Tag::H6.is(HEADING) && !Tag::Head.is(HEADING));
        assert!(!Tag::Other.is(u16::MAX) && !Tag::Foreign.is(u16::MAX));
    }
}

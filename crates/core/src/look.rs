//! What a model says of an image besides its words: closed lists, as `schemas/describe.json` has them.

use serde::{Deserialize, Serialize};

macro_rules! names {
    ($(#[$outer:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $type {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in answers, configuration and tables.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

names! {
    /// Whether an image is fit for a public data set.
    Safety {
        /// It is.
        Ok = "ok",
        /// Nudity or sexual content.
        Sexual = "sexual",
        /// Injury, cruelty or bodies of the dead.
        Violent = "violent",
        /// Private facts can be read or recognised.
        Personal = "personal",
        /// Unfit for another reason.
        Other = "other",
    }
}

names! {
    /// What makes an image a poor example.
    Flag {
        /// A mark of ownership is stamped over it.
        Watermark = "watermark",
        /// Most of it is writing.
        TextHeavy = "text_heavy",
        /// It is made to sell.
        Advertisement = "advertisement",
        /// It stands for an image that is not there.
        Placeholder = "placeholder",
    }
}

names! {
    /// How the page's alternative text fits the image.
    AltText {
        /// Both agree.
        Consistent = "consistent",
        /// It says what is not so.
        Contradicts = "contradicts",
        /// The model cannot tell.
        Unclear = "unclear",
        /// There is none.
        Absent = "absent",
    }
}

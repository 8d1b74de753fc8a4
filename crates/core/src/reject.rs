//! Why something did not go on: a closed list, so that every loss can be counted and looked at.

use serde::{Deserialize, Serialize};

/// One record that a stage did not pass on: a row of `rejects/<stage>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reject {
    /// The URL of the page or image.
    pub url: String,
    /// From the closed list.
    pub reason: Reason,
    /// The page that led here, where there is one.
    pub page_url: String,
    /// What exactly was seen: a status, a rule, an error message. Never a key, never a body.
    pub detail: String,
}

impl Reject {
    /// A reject of `url` that no page led to.
    pub fn new(url: impl Into<String>, reason: Reason, detail: impl Into<String>) -> Self {
        Self { url: url.into(), reason, page_url: String::new(), detail: detail.into() }
    }
}

/// Whether a record was turned down by a rule or could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A rule said no: trying again gives the same answer.
    Rejected,
    /// It was wanted and could not be had: counts against `run.failure_budget`.
    Failed,
}

macro_rules! reasons {
    ($($class:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* })*) => {
        /// The closed list of reasons.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Reason {
            $($($(#[$doc])* #[serde(rename = $name)] $variant,)*)*
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &[Self] = &[$($(Self::$variant,)*)*];

            /// The name in tables and on the terminal.
            pub fn as_str(self) -> &'static str {
                match self { $($(Self::$variant => $name,)*)* }
            }

            /// Rejected by a rule, or failed.
            pub fn class(self) -> Class {
                match self { $($(Self::$variant => Class::$class,)*)* }
            }
        }
    };
}

reasons! {
    Rejected {
        /// The URL is not http(s), has no host, carries credentials or does not parse.
        BadUrl = "bad_url",
        /// Longer than `crawl.max_url_length`.
        UrlTooLong = "url_too_long",
        /// A path segment repeats more than `crawl.max_path_repeats` times: a crawl trap.
        PathRepetition = "path_repetition",
        /// Further from a seed than `crawl.max_depth`.
        TooDeep = "too_deep",
        /// Past `crawl.max_pages_per_host`.
        PageLimit = "page_limit",
        /// The host's request or time budget of this run is spent.
        HostBudget = "host_budget",
        /// The address is private, loopback, link-local, metadata… and not allowed.
        ForbiddenAddress = "forbidden_address",
        /// robots.txt disallows it for us or for one of `crawl.robots_tokens`.
        RobotsTxt = "robots_txt",
        /// `noindex` in X-Robots-Tag or meta robots.
        Noindex = "noindex",
        /// `noai`.
        Noai = "noai",
        /// `noimageai`.
        Noimageai = "noimageai",
        /// `noimageindex`.
        Noimageindex = "noimageindex",
        /// A TDM reservation by header, meta or well-known file.
        TdmReservation = "tdm_reservation",
        /// Listed in a blocklist of hosts, URLs, sha256 or perceptual hashes.
        Blocklist = "blocklist",
        /// Redirected out of the crawl's scope.
        OutOfScope = "out_of_scope",
        /// Redirected to another host of the crawl, which takes it up in its own turn.
        OtherHost = "other_host",
        /// The answer's final or canonical URL was collected already.
        DuplicateUrl = "duplicate_url",
        /// Not HTML by content type and content.
        NotHtml = "not_html",
        /// An archived answer with another status than 200.
        NotOk = "not_ok",
        /// The page's bytes hold fewer image tags than `archive.min_image_tags`.
        FewImages = "few_images",
        /// One of several records in a gzip member, which cannot be read by itself.
        NotSeekable = "not_seekable",
        /// An ad rule matches the image URL.
        Ad = "ad",
        /// The page's own size hints say that it is too small.
        SmallHint = "small_hint",
        /// The same image URL is on too large a share of its site's pages.
        Boilerplate = "boilerplate",
        /// Every page that shows it is left with fewer candidates than a pair needs.
        TooFewCandidates = "too_few_candidates",
        /// Smaller than `group.min_side` on its shorter side.
        LowResolution = "low_resolution",
        /// Longer than `group.max_aspect` times its width, or the other way round.
        ExtremeAspect = "extreme_aspect",
        /// Nearly one colour: entropy below `group.min_entropy`.
        Flat = "flat",
        /// Exactly of a size that advertisements are sold in.
        AdSize = "ad_size",
        /// A near-duplicate of an image that the same page shows before.
        DuplicateImage = "duplicate_image",
        /// A language that is not among `filter.languages`.
        Language = "language",
        /// The page shows nearly the same images as another, which is kept.
        OverlappingGroup = "overlapping_group",
        /// Neither alt text, caption nor heading to describe it by.
        NoText = "no_text",
        /// Both images are alike beyond `pair.max_visual` or `pair.max_text`.
        TooSimilar = "too_similar",
        /// The images have less in common than `pair.min_visual` and `pair.min_text` ask for.
        Unrelated = "unrelated",
        /// The group has `pair.max_pairs` better pairs, or the images are used up.
        PairLimit = "pair_limit",
        /// The target's text says nothing that the query's does not.
        NothingNew = "nothing_new",
        /// The model's reply ended at `max_tokens`.
        ReplyCut = "reply_cut",
        /// The model's reply holds no JSON object.
        ReplyNotJson = "reply_not_json",
        /// The model's reply does not fit its JSON Schema.
        ReplySchema = "reply_schema",
        /// The model or its endpoint would not answer: policy, safety filter, an apology.
        Refused = "refused",
        /// The image shows what `describe.reject_safety` names.
        Unsafe = "unsafe",
        /// The image is what `describe.reject_flags` names.
        Flagged = "flagged",
        /// A description without a caption.
        EmptyCaption = "empty_caption",
        /// The model sees no relation worth an instruction.
        NoRelation = "no_relation",
        /// An instruction, or a relation, of too few or too many words.
        InstructionLength = "instruction_length",
        /// An instruction that speaks of the first image, image B, the target image…
        NamesImages = "names_images",
        /// An instruction with nearly every content word of the target's text.
        DescribesTarget = "describes_target",
        /// An instruction that is, or has in it, the alternative text or caption of an image.
        RepeatsMetadata = "repeats_metadata",
        /// An instruction by a template.
        TemplateLike = "template_like",
        /// An instruction with a number that neither the page nor the images have.
        InventedDetail = "invented_detail",
        /// An instruction, or a relation, with placeholders, markup or addresses in it.
        Malformed = "malformed",
        /// An instruction, or a relation, in another language than `instruct.language`.
        WrongLanguage = "wrong_language",
        /// The same instruction as another of its group.
        DuplicateInstruction = "duplicate_instruction",
        /// The pair has `instruct.max_instructions` good ones already.
        InstructionLimit = "instruction_limit",
        /// An image of the triplet is a near-duplicate of one of a benchmark of `decontaminate.benchmarks`.
        Benchmark = "benchmark",
        /// In the val or test split, and one of its clusters is in train.
        SplitLeak = "split_leak",
        /// Past `export.max_per_domain`.
        DomainCap = "domain_cap",
        /// Past `export.max_per_cluster`.
        ClusterCap = "cluster_cap",
        /// A person marked the triplet as bad in `mine serve`.
        ReviewedBad = "reviewed_bad",
        /// A person marked the triplet as unsafe in `mine serve`.
        ReviewedUnsafe = "reviewed_unsafe",
        /// Taken back by `mine forget`.
        Forgotten = "forgotten",
        /// Not an image by content.
        NotImage = "not_image",
        /// An image of a format that is not decoded (AVIF, TIFF, SVG, …).
        UnsupportedFormat = "unsupported_format",
        /// More pixels than `fetch.max_pixels`.
        TooManyPixels = "too_many_pixels",
        /// More body bytes than the cap, encoded or decoded.
        BodyTooLarge = "body_too_large",
        /// 401, 403, 404, 410, 451 and other answers that a retry does not change.
        HttpClientError = "http_client_error",
    }
    Failed {
        /// No address for the host.
        DnsError = "dns_error",
        /// Refused, reset or TLS failure.
        ConnectError = "connect_error",
        /// No answer, or a stalled one, in time.
        Timeout = "timeout",
        /// 5xx and 429, after all retries.
        HttpServerError = "http_server_error",
        /// The body ended before it should have, or broke in its encoding.
        BodyBroken = "body_broken",
        /// More redirects than `http.max_redirects`, a loop, or one that leads nowhere.
        BadRedirect = "bad_redirect",
        /// The endpoint answered, with nothing that can be used.
        ReplyUnusable = "reply_unusable",
        /// An archive or table that is damaged, cut off or no such file: what lies before the damage was read.
        InputBroken = "input_broken",
        /// The image says it is of a known format and does not decode.
        DecodeError = "decode_error",
        /// Decoding took more CPU than `fetch.decode_timeout_s`.
        DecodeTimeout = "decode_timeout",
        /// The decoder panicked.
        DecodePanic = "decode_panic",
    }
}

impl Reason {
    /// The inverse of [`Self::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_back() {
        for &reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
    }

    /// All reasons of 25d6a2e. Manifests of old runs name them, and are hashed with them in this order.
    const FIRST: &str = "bad_url url_too_long path_repetition too_deep page_limit host_budget forbidden_address \
        robots_txt noindex noai noimageai noimageindex tdm_reservation blocklist out_of_scope \
        other_host duplicate_url not_html not_ok few_images not_seekable ad small_hint \
        boilerplate too_few_candidates low_resolution extreme_aspect flat ad_size \
        duplicate_image language overlapping_group no_text too_similar unrelated pair_limit \
        nothing_new reply_cut reply_not_json reply_schema refused unsafe flagged empty_caption \
        no_relation instruction_length names_images describes_target repeats_metadata \
        template_like invented_detail malformed wrong_language duplicate_instruction \
        instruction_limit benchmark split_leak domain_cap cluster_cap reviewed_bad \
        reviewed_unsafe forgotten not_image unsupported_format too_many_pixels body_too_large \
        http_client_error dns_error connect_error timeout http_server_error body_broken \
        bad_redirect reply_unusable input_broken decode_error decode_timeout decode_panic";

    #[test]
    fn reasons_of_25d6a2e_keep_their_names_and_their_order() {
        let first: Vec<&str> = FIRST.split_whitespace().collect();
        let all = Reason::ALL.iter().map(|reason| reason.as_str());
        let kept: Vec<&str> = all.filter(|name| first.contains(name)).collect();
        assert_eq!(kept, first);
    }
}

//! What a rule on one image URL and its size hints can turn down.

use adblock::Engine;
use adblock::lists::{FilterSet, ParseOptions};
use adblock::request::Request;
use url::Url;

use crate::config::Config;
use crate::record::{ImageRef, Reason};
use crate::stages::blocklist::{self, UrlBlocklist};
use crate::stages::context::StageError;
use crate::table::PageImages;
use crate::text;

const BUILTIN: &str = include_str!("ad_rules.txt");

/// Blocklists, ad rules and size hints.
pub struct UrlRules {
    blocklist: UrlBlocklist,
    ads: Engine,
    min_side_hint: u32,
    max_url_length: usize,
    languages: Vec<String>,
}

impl UrlRules {
    /// Reads the lists that the configuration names.
    pub fn load(config: &Config) -> Result<Self, StageError> {
        let mut filters = FilterSet::new(false);
        if config.filter.builtin_ad_rules {
            filters.add_filter_list(BUILTIN.to_owned(), ParseOptions::default());
        }
        for path in &config.filter.ad_lists {
            let text = blocklist::read("filter.ad_lists", path)?;
            filters.add_filter_list(text, ParseOptions::default());
        }
        Ok(Self {
            blocklist: UrlBlocklist::load(config)?,
            ads: Engine::new_with_filter_set(filters),
            min_side_hint: config.filter.min_side_hint,
            max_url_length: config.crawl.max_url_length,
            languages: config.filter.languages.clone(),
        })
    }

    /// What turns down all images of a page: its language, where only some are wanted.
    pub fn objection_to_page(&self, page: &PageImages) -> Option<(Reason, String)> {
        if self.languages.is_empty() {
            return None;
        }
        let language = text::detect_language(&format!("{} {}", page.title, page.text));
        let language = language.unwrap_or("unknown");
        let is_wanted = self.languages.iter().any(|wanted| wanted == language);
        (!is_wanted).then(|| (Reason::Language, language.to_owned()))
    }

    /// The first rule that turns an image down, with what it saw.
    pub fn objection(&self, image: &ImageRef, page_url: &str) -> Result<Url, (Reason, String)> {
        let url = Url::parse(&image.url).map_err(|e| (Reason::BadUrl, e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err((Reason::BadUrl, url.scheme().to_owned()));
        }
        if image.url.len() > self.max_url_length {
            return Err((Reason::UrlTooLong, format!("{} bytes", image.url.len())));
        }
        if let Some(entry) = self.blocklist.matches(&url) {
            return Err((Reason::Blocklist, entry));
        }
        if self.is_ad(&image.url, page_url) {
            return Err((Reason::Ad, String::new()));
        }
        let hints = image.width_hint.into_iter().chain(image.height_hint);
        match hints.min() {
            Some(side) if side < self.min_side_hint => {
                Err((Reason::SmallHint, format!("{side} px")))
            }
            _ => Ok(url),
        }
    }

    fn is_ad(&self, url: &str, page_url: &str) -> bool {
        Request::new(url, page_url, "image", "GET")
            .is_ok_and(|request| self.ads.check_network_request(&request).should_block())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objection(url: &str, width: Option<u32>, config: &Config) -> Option<Reason> {
        let image = ImageRef { url: url.into(), width_hint: width, ..ImageRef::default() };
        let rules = UrlRules::load(config).unwrap();
        rules.objection(&image, "http://page.example/").err().map(|(reason, _)| reason)
    }

    #[test]
    fn the_builtin_rules_know_ads_by_host_path_and_query() {
        for url in [
            "http://ads.site.example/x.jpg",
            "http://ad.doubleclick.net/x.jpg",
            "http://page.example/ads/x.jpg",
            "http://page.example/img/adserver/x.jpg",
            "http://page.example/banner-ads/728x90.png",
            "http://page.example/x.jpg?w=3&ad_id=7",
        ] {
            assert_eq!(objection(url, None, &Config::default()), Some(Reason::Ad), "{url}");
        }
        for url in [
            "http://page.example/x.jpg",
            "http://page.example/loads/x.jpg",
            "http://page.example/roads/head.jpg",
            "http://shadows.example/x.jpg",
            "http://downloads.example/x.jpg",
            "http://page.example/x.jpg?upload_id=7",
        ] {
            assert_eq!(objection(url, None, &Config::default()), None, "{url}");
        }
    }

    #[test]
    fn a_users_list_adds_rules() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("easylist.txt");
        std::fs::write(&list, "[Adblock Plus 2.0]\n||promo.example^$third-party\n").unwrap();
        let mut config = Config::default();
        config.filter.ad_lists = vec![list];
        config.filter.builtin_ad_rules = false;
        assert_eq!(objection("http://promo.example/1.jpg", None, &config), Some(Reason::Ad));
        assert_eq!(objection("http://page.example/ads/x.jpg", None, &config), None);
    }

    #[test]
    fn a_small_hint_rejects_and_no_hint_does_not() {
        let config = Config::default();
        let url = "http://page.example/x.jpg";
        assert_eq!(objection(url, Some(63), &config), Some(Reason::SmallHint));
        assert_eq!(objection(url, Some(64), &config), None);
        assert_eq!(objection("ftp://page.example/x.jpg", None, &config), Some(Reason::BadUrl));
        let long = format!("{url}?{}", "x".repeat(2083));
        assert_eq!(objection(&long, None, &config), Some(Reason::UrlTooLong));
    }
}

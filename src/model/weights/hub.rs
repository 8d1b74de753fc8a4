//! Weights of the Hugging Face Hub, by name: downloaded once, into the cache that its Python library
//! shares (<https://huggingface.co/docs/huggingface_hub/guides/manage-cache>).
//!
//! `HF_HOME`, `HF_ENDPOINT` and the token of `hf auth login` count as there.

use std::path::PathBuf;

use hf_hub::api::sync::ApiBuilder;
use hf_hub::{Cache, Repo, RepoType};

use super::error::WeightsError;

/// Prefix of a name of the hub.
const SCHEME: &str = "hf://";

/// Retries of one file; a download continues where it broke off.
const RETRIES: usize = 5;

/// Files that are fetched, as far as a repository has them.
const CONFIGS: [&str; 2] = ["config.json", "open_clip_config.json"];
const WEIGHTS: [&str; 2] = ["model.safetensors", "open_clip_model.safetensors"];

/// A repository of the hub at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    repository: String,
    revision: String,
}

impl HubName {
    /// Reads `hf://owner/name` or `hf://owner/name@revision`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix(SCHEME)?;
        let (repository, revision) = name.split_once('@').unwrap_or((name, "main"));
        let is_name = repository.split('/').filter(|part| !part.is_empty()).count() == 2;
        let (repository, revision) = (repository.to_owned(), revision.to_owned());
        is_name.then_some(Self { repository, revision })
    }

    /// Gives the local folder with the repository's safetensors and config, downloaded if need be: what
    /// is in the cache is taken from there, without asking the hub.
    ///
    /// # Errors
    ///
    /// Where the hub does not answer, or the repository has no safetensors at that revision.
    pub fn fetch(&self) -> Result<PathBuf, WeightsError> {
        self.fetch_with(&Cache::from_env(), ApiBuilder::from_env())
    }

    fn fetch_with(&self, cache: &Cache, api: ApiBuilder) -> Result<PathBuf, WeightsError> {
        let Self { repository, revision } = self.clone();
        let repository = Repo::with_revision(repository, RepoType::Model, revision);
        let kept = cache.repo(repository.clone());
        let found = WEIGHTS.iter().find_map(|name| kept.get(name));
        let mut path = found.map_or_else(|| self.download(repository, api), Ok)?;
        path.pop();
        Ok(path)
    }

    /// Configs first, so that a cache with weights has both. Gives the path of the weights.
    fn download(&self, repository: Repo, api: ApiBuilder) -> Result<PathBuf, WeightsError> {
        let failed = |error: &dyn std::fmt::Display| WeightsError::Hub {
            name: format!("{SCHEME}{}@{}", self.repository, self.revision),
            problem: error.to_string(),
        };
        let api = api.with_retries(RETRIES).build().map_err(|error| failed(&error))?;
        let repository = api.repo(repository);
        let info = repository.info().map_err(|error| failed(&error))?;
        let has = |name: &&&str| info.siblings.iter().any(|file| file.rfilename == **name);
        let Some(weights) = WEIGHTS.iter().find(has) else {
            return Err(failed(&format!("has neither {} nor {}", WEIGHTS[0], WEIGHTS[1])));
        };
        for config in CONFIGS.iter().filter(has) {
            repository.get(config).map_err(|error| failed(&error))?;
        }
        repository.get(weights).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[test]
    fn names_are_told_from_paths() {
        let named = |text| HubName::parse(text).map(|name| (name.repository, name.revision));
        let name = |name: &str, revision: &str| Some((name.to_owned(), revision.to_owned()));
        assert_eq!(named("hf://openai/clip"), name("openai/clip", "main"));
        assert_eq!(named("hf://openai/clip@refs/pr/2"), name("openai/clip", "refs/pr/2"));
        for other in ["openai/clip", "hf://clip", "hf:///clip", "hf://a/b/c", "/weights/clip"] {
            assert_eq!(HubName::parse(other), None, "{other}");
        }
    }

    /// A hub with one repository of two files.
    async fn hub() -> MockServer {
        let server = MockServer::start().await;
        let info = r#"{"sha": "abc", "siblings": [
            {"rfilename": "README.md"}, {"rfilename": "config.json"},
            {"rfilename": "model.safetensors"}]}"#;
        let json = ResponseTemplate::new(200).set_body_raw(info, "application/json");
        Mock::given(path("/api/models/owner/clip/revision/main"))
            .respond_with(json)
            .mount(&server)
            .await;
        for (name, body) in [("config.json", "{}"), ("model.safetensors", "weights")] {
            let length = body.len();
            let answer = ResponseTemplate::new(206)
                .set_body_string(body)
                .insert_header("etag", format!("\"{name}\""))
                .insert_header("x-repo-commit", "abc")
                .insert_header("content-range", format!("bytes 0-{}/{length}", length - 1));
            Mock::given(method("GET"))
                .and(path(format!("/owner/clip/resolve/main/{name}")))
                .respond_with(answer)
                .mount(&server)
                .await;
        }
        server
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_repository_becomes_a_folder() {
        let server = hub().await;
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let fetch = |name: &str| {
            let api = ApiBuilder::from_cache(cache.clone()).with_progress(false);
            HubName::parse(name).unwrap().fetch_with(&cache, api.with_endpoint(server.uri()))
        };
        let folder = tokio::task::block_in_place(|| fetch("hf://owner/clip")).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("model.safetensors")).unwrap(), "weights");
        assert_eq!(std::fs::read_to_string(folder.join("config.json")).unwrap(), "{}");
        let asked = server.received_requests().await.unwrap().len();
        tokio::task::block_in_place(|| fetch("hf://owner/clip")).unwrap();
        assert_eq!(server.received_requests().await.unwrap().len(), asked, "it was in the cache");
        let error = tokio::task::block_in_place(|| fetch("hf://owner/none")).unwrap_err();
        assert!(error.to_string().starts_with("hf://owner/none@main: "), "{error}");
    }
}

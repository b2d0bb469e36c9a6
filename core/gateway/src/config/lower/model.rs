//! `models`.

use super::Lower;
use crate::config::choice::Ability;
use crate::config::file::{File, ModelFile, PricesFile, ProviderFile, TargetFile, TargetMapFile, default};
use crate::config::place::{At, Table};
use crate::config::program::{Alias, TargetRef};
use crate::config::scalar::{Name, TargetName};
use weir_llm::price::Rate;
use weir_llm::usage::Class;
use weir_policy::Needs;

impl Lower<'_> {
    pub(super) fn models(
        &mut self,
        table: &Table<ModelFile>,
        providers: &Table<ProviderFile>,
    ) -> Option<Vec<Alias>> {
        let models: Vec<_> = table.0.iter().map(|(key, file)| self.alias(*key, file, providers)).collect();
        models.into_iter().collect()
    }

    fn alias(&mut self, key: At<Name>, file: &ModelFile, providers: &Table<ProviderFile>) -> Option<Alias> {
        let name = self.value(key);
        let targets: Vec<_> = file.targets.iter().map(|target| self.target(target, providers)).collect();
        if file.targets.is_empty() && !self.is_reported(key.id) {
            self.error(key.id, "has no targets: at least one `provider/model` is needed");
        }
        self.repeated(&file.targets);
        let cache_ttl = file.cache.as_ref().and_then(|cache| self.value(cache.ttl));
        let retries = self.or(file.retries, default::RETRIES);
        let max_attempts = self.or(file.max_attempts, default::MAX_ATTEMPTS);
        let strict = self.or(file.strict, default::STRICT);
        let tags = self.all(&file.tags);
        Some(Alias {
            name: name?,
            targets: targets.into_iter().collect::<Option<_>>()?,
            cache_ttl,
            retries: u8::try_from(retries?).ok()?,
            max_attempts: u8::try_from(max_attempts?).ok()?,
            strict: strict?,
            tags: tags?,
        })
    }

    fn target(&mut self, file: &TargetFile, providers: &Table<ProviderFile>) -> Option<TargetRef> {
        let (provider, model) = self.target_name(file.name(), providers)?;
        let plain = TargetRef {
            provider,
            model,
            weight: 1,
            tags: Vec::new(),
            quality: None,
            concurrency: None,
            context: None,
            max_output: None,
            capabilities: None,
            rates: None,
        };
        match file {
            TargetFile::Name(_) => Some(plain),
            TargetFile::Map(map) => self.target_facts(map, plain),
        }
    }

    fn target_name(
        &mut self,
        at: At<TargetName>,
        providers: &Table<ProviderFile>,
    ) -> Option<(usize, String)> {
        let (provider, model) = self.value(at)?;
        Some((self.provider_index(at.id, &provider, providers)?, model))
    }

    fn target_facts(&mut self, file: &TargetMapFile, plain: TargetRef) -> Option<TargetRef> {
        let weight = self.or(file.weight, default::WEIGHT);
        let tags = self.all(&file.tags);
        let quality = self.maybe(file.quality);
        let concurrency = self.maybe(file.concurrency);
        let context = self.maybe(file.context);
        let max_output = self.maybe(file.max_output);
        let capabilities = match &file.capabilities {
            Some(list) => Some(abilities(&self.all(list)?)),
            None => None,
        };
        let rates = file.prices.as_ref().map(|prices| self.rates(prices));
        if let (Some(context), Some(output), Some(at)) = (context, max_output, file.max_output)
            && output > context
        {
            self.error(at.id, format!("`{output}` is more than the whole `context` of {context} tokens"));
        }
        let weight = u16::try_from(weight?).ok()?;
        let tags = tags?;
        Some(TargetRef {
            weight,
            tags,
            quality,
            concurrency,
            context,
            max_output,
            capabilities,
            rates,
            ..plain
        })
    }

    fn rates(&mut self, file: &PricesFile) -> Vec<Rate> {
        let written = [
            (Class::Input, Some(file.input)),
            (Class::CachedInput, file.cached_input),
            (Class::CacheWrite5m, file.cache_write_5m),
            (Class::CacheWrite1h, file.cache_write_1h),
            (Class::Output, Some(file.output)),
            (Class::Reasoning, file.reasoning),
            (Class::InputAudio, file.input_audio),
            (Class::OutputAudio, file.output_audio),
            (Class::Image, file.image),
        ];
        let rate = |(class, at)| self.maybe(at).map(|pico_per_unit| Rate { class, pico_per_unit });
        written.into_iter().filter_map(rate).collect()
    }

    fn repeated(&mut self, targets: &[TargetFile]) {
        let mut seen: Vec<String> = Vec::new();
        for at in targets.iter().map(TargetFile::name) {
            let Some(name) = self.written(at.id).map(str::to_owned) else { continue };
            if seen.contains(&name) {
                self.warn(at.id, format!("`{name}` stands in this list twice"));
            }
            seen.push(name);
        }
    }

    /// Whether callers can name any model at all, and whether every provider can be reached.
    pub(super) fn reachable(&mut self, file: &File, direct: bool) {
        if direct {
            return;
        }
        if file.models.0.is_empty() {
            let place = file.direct.map_or(0, |at| at.id);
            self.error(place, "no model can be called: `models` is empty and `direct` is false");
            return;
        }
        let targets = file.models.0.iter().flat_map(|(_, model)| &model.targets);
        let used: Vec<String> =
            targets.filter_map(|t| self.written(t.name().id).map(str::to_owned)).collect();
        for (key, _) in &file.providers.0 {
            let Some(name) = self.written(key.id) else { continue };
            if !used.iter().any(|target| target.split_once('/').is_some_and(|(provider, _)| provider == name))
            {
                self.warn(key.id, "no model uses this provider, and `direct` is false");
            }
        }
    }
}

fn abilities(words: &[Ability]) -> Needs {
    let mut can = Needs::default();
    for Ability(word) in words {
        if let Some(flag) = can.flag(word) {
            *flag = true;
        }
    }
    can
}

impl TargetFile {
    fn name(&self) -> At<TargetName> {
        match self {
            Self::Name(at) => *at,
            Self::Map(map) => map.target,
        }
    }
}

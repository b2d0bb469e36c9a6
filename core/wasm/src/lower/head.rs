//! The head, laid into a guest's memory at once.
//!
//! What wasmtime lowers by itself is a record that owns its texts, so each is copied twice, and the memory is looked up for
//! each field: for the twenty of a head that is a quarter of a kept router's call. A head is 152 bytes, known here.

use super::names::{api, data_class, needs, retention};
use crate::wit::weir::policy::types as w;
use std::mem::MaybeUninit;
use std::sync::Arc;
use wasmtime::Result;
use wasmtime::component::__internal::wasmtime_environ::component::StringEncoding;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext, bad_type_info,
};
use wasmtime::component::{ComponentType, Lower};
use weir_policy as p;
use weir_policy::RequestView;

/// The contract's record `head` of a request. A policy that is `shared` between organisations does not learn who asks.
pub(crate) struct Head {
    view: Arc<RequestView>,
    shared: bool,
}

/// The canonical ABI's layout of the record: fields in order, each at its own alignment.
const BYTES: usize = 152;
const _: () = assert!(w::Head::SIZE32 == BYTES && w::Head::ALIGN32 == 8);

/// The head as wasmtime lowers it.
pub(super) fn record(head: &p::Head, shared: bool) -> w::Head {
    let who = |name: &str| if shared { String::new() } else { name.to_owned() };
    w::Head {
        request_id: head.request_id.to_string(),
        api: api(head.api),
        requested_model: head.requested_model.to_string(),
        stream: head.stream,
        tenant: who(&head.tenant),
        project: who(&head.project),
        key_id: who(&head.key_id),
        user_hash: head.user_hash.as_deref().filter(|_| !shared).map(str::to_owned),
        region: head.region.to_string(),
        class: data_class(head.class),
        retention: retention(head.retention),
        tags: head.tags.to_vec(),
        deadline_ms: head.deadline_ms,
        est_input_tokens: head.est_input_tokens,
        max_output_tokens: head.max_output_tokens,
        segment_count: head.segment_count,
        body_bytes: head.body_bytes,
        needs: needs(head.needs),
        attempt: head.attempt,
        budget: head.budget.filter(|_| !shared).map(|b| w::Budget { limit: b.limit.0, left: b.left.0 }),
    }
}

impl Head {
    pub(crate) fn of(view: &Arc<RequestView>, shared: bool) -> Self {
        Self { view: Arc::clone(view), shared }
    }

    fn user_hash(&self) -> Option<&str> {
        self.view.head().user_hash.as_deref().filter(|_| !self.shared)
    }

    /// The texts that it has, with the place of each.
    fn texts(&self) -> impl Iterator<Item = (usize, &str)> + use<'_> {
        let head = self.view.head();
        let who = |name| Some(if self.shared { "" } else { name });
        let texts = [
            (0, Some(&*head.request_id)),
            (20, Some(&*head.requested_model)),
            (32, who(&head.tenant)),
            (40, who(&head.project)),
            (48, who(&head.key_id)),
            (60, self.user_hash()),
            (68, Some(&*head.region)),
        ];
        texts.into_iter().filter_map(|(at, text)| Some((at, text?)))
    }

    /// Its numbers and what is there or not; what else there is is zero.
    fn numbers(&self) -> [u8; BYTES] {
        let head = self.view.head();
        let mut record = [0; BYTES];
        let mut put = |at: usize, field: &[u8]| record[at..at + field.len()].copy_from_slice(field);
        put(28, &[head.stream.into()]);
        put(56, &[self.user_hash().is_some().into()]);
        put(92, &head.deadline_ms.to_le_bytes());
        put(96, &head.est_input_tokens.to_le_bytes());
        put(100, &[head.max_output_tokens.is_some().into()]);
        put(104, &head.max_output_tokens.unwrap_or(0).to_le_bytes());
        put(108, &head.segment_count.to_le_bytes());
        put(112, &head.body_bytes.to_le_bytes());
        put(122, &[head.attempt]);
        if let Some(budget) = head.budget.filter(|_| !self.shared) {
            put(128, &[1]);
            put(136, &budget.limit.0.to_le_bytes());
            put(144, &budget.left.0.to_le_bytes());
        }
        record
    }

    /// The variants, the enum, the list and the flags, whose cases wasmtime knows.
    fn derived<T>(&self, cx: &mut LowerContext<'_, T>, ty: InterfaceType, offset: usize) -> Result<()> {
        let InterfaceType::Record(ty) = ty else { bad_type_info() };
        let head = self.view.head();
        let types = cx.types;
        let field = |at: usize| types[ty].fields[at].ty;
        api(head.api).linear_lower_to_memory(cx, field(1), offset + 8)?;
        data_class(head.class).linear_lower_to_memory(cx, field(9), offset + 76)?;
        retention(head.retention).linear_lower_to_memory(cx, field(10), offset + 78)?;
        head.tags.linear_lower_to_memory(cx, field(11), offset + 84)?;
        needs(head.needs).linear_lower_to_memory(cx, field(17), offset + 120)
    }
}

// SAFETY: the type's flat form, size, alignment and type check are those of `w::Head`, which wasmtime derives.
#[allow(unsafe_code, reason = "see SAFETY")]
unsafe impl ComponentType for Head {
    type Lower = <w::Head as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = w::Head::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        w::Head::typecheck(ty, types)
    }
}

// SAFETY: in flat form and for other encodings than UTF-8, which nothing that Weir builds has, `w::Head` writes it; else all
// 152 bytes are written, at places that are looked up with their bounds. That what stands there is what `w::Head` would write
// is tested with a guest that reads every field.
#[allow(unsafe_code, reason = "see SAFETY")]
unsafe impl Lower for Head {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        record(self.view.head(), self.shared).linear_lower_to_flat(cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        if cx.options().string_encoding != StringEncoding::Utf8 {
            return record(self.view.head(), self.shared).linear_lower_to_memory(cx, ty, offset);
        }
        let mut record = self.numbers();
        for (at, text) in self.texts() {
            let from = cx.realloc(0, 0, 1, text.len())?;
            cx.as_slice_mut()[from..from + text.len()].copy_from_slice(text.as_bytes());
            record[at..at + 4].copy_from_slice(&u32::try_from(from)?.to_le_bytes());
            record[at + 4..at + 8].copy_from_slice(&u32::try_from(text.len())?.to_le_bytes());
        }
        cx.as_slice_mut()[offset..offset + BYTES].copy_from_slice(&record);
        self.derived(cx, ty, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use weir_llm::price::Nanos;
    use weir_llm::request::Request;
    use weir_policy::{Api, DataClass, Needs, Retention};

    fn view() -> Arc<RequestView> {
        let head = p::Head {
            request_id: "req".into(),
            api: Api::Chat,
            requested_model: "model".into(),
            stream: false,
            tenant: "tenant".into(),
            project: "project".into(),
            key_id: "key".into(),
            user_hash: Some("user".into()),
            region: "region".into(),
            class: DataClass::Public,
            retention: Retention::Unknown,
            demands: None,
            tags: Arc::from([]),
            deadline_ms: 0,
            est_input_tokens: 0,
            max_output_tokens: None,
            segment_count: 0,
            body_bytes: 0,
            needs: Needs::default(),
            attempt: 0,
            budget: Some(p::Budget { limit: Nanos(-1), left: Nanos(-1) }),
        };
        let body = r#"{"model":"model","messages":[{"role":"user","content":"hello"}]}"#;
        let request = Request::parse(Api::Chat, Bytes::from_static(body.as_bytes())).expect("a request");
        Arc::new(RequestView::new(head, Arc::new(request), Vec::new()))
    }

    #[test]
    fn a_shared_policy_does_not_learn_who_asks() {
        let known = Head::of(&view(), false);
        let all = [
            (0, "req"),
            (20, "model"),
            (32, "tenant"),
            (40, "project"),
            (48, "key"),
            (60, "user"),
            (68, "region"),
        ];
        assert_eq!(known.texts().collect::<Vec<_>>(), all);
        assert_eq!((known.numbers()[56], known.numbers()[128]), (1, 1));
        let shared = Head::of(&view(), true);
        let some = [(0, "req"), (20, "model"), (32, ""), (40, ""), (48, ""), (68, "region")];
        assert_eq!(shared.texts().collect::<Vec<_>>(), some);
        assert_eq!(shared.numbers(), [0; BYTES]);
    }
}

//! Asks a webhook about a text; the answer says what came back.

#[path = "../../misdeeds.rs"]
mod misdeeds;

use misdeeds::Misdeeds;
use weir_sdk::http::{self, HttpError, Inbound, Outbound};
use weir_sdk::{Admission, Admit, Config, Guard, Head, Plugin, Request, Verdict};

/// The plugin.
pub struct Webhook {
    misdeeds: Misdeeds,
    config: String,
}

impl Plugin for Webhook {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        // At load there is nobody on whose account a call could go out.
        match http::send(&Outbound::get("moderation", "/")) {
            Err(HttpError::Budget | HttpError::NotGranted) => {}
            other => return Err(format!("a call at load: {other:?}")),
        }
        Ok(Self { misdeeds: Misdeeds::new(config.json()), config: config.json().to_owned() })
    }
}

impl Guard for Webhook {
    fn guard(&self, request: &dyn Request) -> Verdict {
        self.misdeeds.commit("guard");
        let text = request.text(0, 0, u32::MAX).unwrap_or_default();
        let call = |path: &str| Outbound::post("moderation", path, text.as_bytes());
        if self.config.contains("many") {
            let calls: Vec<_> = (0..4).map(|n| call(&format!("/{n}"))).collect();
            return said(&http::send_all(&calls));
        }
        if self.config.contains("elsewhere") {
            return said(&[http::send(&Outbound::get("elsewhere", "/"))]);
        }
        if self.config.contains("twice") {
            return said(&[http::send(&call("/0")), http::send(&call("/1").timeout_ms(60_000))]);
        }
        said(&[http::send(&call("/0"))])
    }
}

impl Admit for Webhook {
    fn admit(&self, _: &Head) -> Admission {
        self.misdeeds.commit("admit");
        let reply = http::send(&Outbound::get("other", "/")).map(|reply| reply.status);
        Admission::Allow(vec![("reply".into(), format!("{reply:?}"))])
    }
}

fn said(replies: &[Result<Inbound, HttpError>]) -> Verdict {
    let one = |reply: &Result<Inbound, HttpError>| match reply {
        Ok(reply) => format!("{} {}", reply.status, reply.text().unwrap_or("?")),
        Err(error) => error.name().to_owned(),
    };
    Verdict::answer(replies.iter().map(one).collect::<Vec<_>>().join(", "))
}

weir_sdk::export!(Webhook: guard, admit);

//! Who may have a request by what it needs a model to be able to do, and by what it may cost.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Gateway, Reply, Setup, Upstream};

/// Three providers: `text` stands first everywhere.
struct House {
    text: Upstream,
    sees: Upstream,
    hears: Upstream,
    gateway: Gateway,
    key: String,
}

impl House {
    async fn new() -> Self {
        let (text, sees) = (Upstream::saying("text").await, Upstream::saying("sees").await);
        let hears = Upstream::saying("hears").await;
        let at = |upstream: &Upstream, vendor: &str| {
            format!("{{ base_url: 'http://{}/v1', keys: [sk-x], vendor: {vendor} }}", upstream.address)
        };
        // The catalogue knows that deepseek-chat calls tools and sees nothing, and that gpt-4o-mini sees.
        let gateway = Setup::new(format!(
            "providers:
  deepseek: {}
  openai: {}
  groq: {}
models:
  said:
    retries: 0
    targets:
      - {{ target: groq/a, capabilities: [], prices: {{ input: 1, output: 2 }} }}
      - {{ target: openai/b, capabilities: [vision, tools], prices: {{ input: 3, output: 4.5 }} }}
  known: {{ targets: [deepseek/deepseek-chat, openai/gpt-4o-mini], retries: 0 }}
  blind: {{ targets: [deepseek/deepseek-chat], retries: 0 }}
  unpriced: {{ targets: [groq/nobody-knows], retries: 0 }}
",
            at(&text, "deepseek"),
            at(&sees, "openai"),
            at(&hears, "groq"),
        ))
        .start()
        .await;
        let key = gateway.key(&[]);
        Self { text, sees, hears, gateway, key }
    }

    async fn ask(&self, model: &str, more: Value) -> Reply {
        let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.gateway.chat(&self.key, &body).await
    }

    fn counts(&self) -> [usize; 3] {
        [self.text.count(), self.sees.count(), self.hears.count()]
    }
}

fn picture() -> Value {
    let image = json!({ "type": "image_url", "image_url": { "url": "https://x.example/a.png" } });
    json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "what is it?" }, image] }] })
}

fn tool() -> Value {
    json!({ "tools": [{ "type": "function", "function": { "name": "find", "parameters": { "type": "object" } } }] })
}

fn code(reply: &Reply) -> (u16, String, String) {
    let error = &reply.json()["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (reply.status(), text("code"), text("message"))
}

#[tokio::test]
async fn what_the_operator_says_of_a_model_binds() {
    let house = House::new().await;
    assert_eq!(house.ask("said", json!({})).await.answer(), "hears", "the first that is asked is the first");
    assert_eq!(house.ask("said", picture()).await.answer(), "sees");
    assert_eq!(house.ask("said", tool()).await.answer(), "sees");
    assert_eq!(house.counts(), [0, 2, 1]);
    let schema = json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "x", "schema": { "type": "object" } } } });
    let refused = code(&house.ask("said", schema).await);
    assert_eq!((refused.0, refused.1.as_str()), (400, "model_not_capable"));
    assert!(refused.2.contains("json-schema") && refused.2.contains("`said`"), "{}", refused.2);
    assert_eq!(house.counts(), [0, 2, 1], "nothing was sent");
    house.gateway.ledger_check();
}

#[tokio::test]
async fn what_the_catalogue_knows_decides_and_refuses_nothing() {
    let house = House::new().await;
    assert_eq!(house.ask("known", json!({})).await.answer(), "text");
    assert_eq!(house.ask("known", tool()).await.answer(), "text");
    let reply = house.ask("known", picture()).await;
    assert_eq!((reply.answer().as_str(), reply.get("x-weir-target")), ("sees", Some("openai/gpt-4o-mini")));
    // Nobody else can: then the provider is the one to say so.
    assert_eq!(house.ask("blind", picture()).await.answer(), "text");
}

#[tokio::test]
async fn a_price_is_held_against_what_is_known() {
    let house = House::new().await;
    let most = |prompt: f64, completion: f64| json!({ "provider": { "max_price": { "prompt": prompt, "completion": completion } } });
    assert_eq!(house.ask("said", most(1.0, 2.0)).await.answer(), "hears");
    let sent = house.hears.call(0).await;
    assert!(sent.json().get("provider").is_none(), "it is a wish to us");
    let mut both = picture();
    both.as_object_mut().unwrap().extend(most(3.0, 4.5).as_object().unwrap().clone());
    assert_eq!(house.ask("said", both).await.answer(), "sees");
    for (model, prompt, completion) in
        [("said", 0.99, 100.0), ("said", 100.0, 1.5), ("unpriced", 100.0, 100.0)]
    {
        let refused = code(&house.ask(model, most(prompt, completion)).await);
        assert_eq!(
            (refused.0, refused.1.as_str()),
            (400, "no_target_within_max_price"),
            "{model}: {}",
            refused.2
        );
    }
    let odd = house.ask("said", json!({ "provider": { "max_price": { "request": 1 } } })).await;
    assert_eq!(odd.status(), 400);
    assert_eq!(odd.json()["error"]["param"], "provider.max_price.request");
    assert_eq!(house.counts(), [0, 1, 1]);
}

//! What wasmtime's `bindgen!` makes of `sdk/wit`: the types, and the traits behind the imports. The world names every
//! interface of the contract; a component has any part of it, so its exports are found one by one (`exports`).

wasmtime::component::bindgen!({
    path: "../../sdk/wit",
    inline: r"
        package weir:host;
        world host {
            import weir:policy/types@0.3.1;
            import weir:policy/request@0.3.1;
            import weir:policy/fault@0.3.1;
            import weir:policy/annotate@0.3.1;
            import weir:policy/targets@0.3.1;
            import weir:policy/tokens@0.3.1;
            import weir:policy/kv@0.3.1;
            import weir:policy/http@0.3.1;
            import weir:policy/telemetry@0.3.1;
            import weir:policy/env@0.3.1;
            export weir:policy/lifecycle@0.3.1;
            export weir:policy/hook-admit@0.3.1;
            export weir:policy/hook-guard@0.3.1;
            export weir:policy/hook-redact@0.3.1;
            export weir:policy/hook-route@0.3.1;
            export weir:policy/hook-attempt@0.3.1;
            export weir:policy/hook-on-error@0.3.1;
            export weir:policy/hook-guard-response@0.3.1;
            export weir:policy/hook-stream@0.3.1;
            export weir:policy/hook-price@0.3.1;
            export weir:policy/hook-complete@0.3.1;
        }
    ",
    world: "weir:host/host",
    imports: {
        "weir:policy/http.send": async | trappable,
        "weir:policy/http.send-all": async | trappable,
        default: trappable,
    },
    with: { "weir:policy/request.request-view": crate::state::View },
});

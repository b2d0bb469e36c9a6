//! What wasmtime's `bindgen!` makes of `sdk/wit`. The world names all that this version links and asks; a component
//! has any part of it, so hooks are found one by one through their `GuestIndices`.

wasmtime::component::bindgen!({
    path: "../../sdk/wit",
    inline: r"
        package weir:host;
        world host {
            import weir:policy/types@0.2.0;
            import weir:policy/request@0.2.0;
            import weir:policy/fault@0.2.0;
            import weir:policy/targets@0.2.0;
            import weir:policy/telemetry@0.2.0;
            import weir:policy/env@0.2.0;
            export weir:policy/lifecycle@0.2.0;
            export weir:policy/hook-guard@0.2.0;
            export weir:policy/hook-route@0.2.0;
            export weir:policy/hook-on-error@0.2.0;
        }
    ",
    world: "weir:host/host",
    imports: { default: trappable },
    with: { "weir:policy/request.request-view": crate::state::View },
});

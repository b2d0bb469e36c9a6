//! What wit-bindgen makes of `sdk/wit`: all imports once, and one world per hook whose types are those of the imports.
//!
//! A component imports only what its code reaches: the build drops the rest.

/// Every import that this version of the host links.
pub mod imports {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world imports {
                import weir:policy/types@0.2.0;
                import weir:policy/request@0.2.0;
                import weir:policy/fault@0.2.0;
                import weir:policy/targets@0.2.0;
                import weir:policy/telemetry@0.2.0;
                import weir:policy/env@0.2.0;
            }
        ",
        world: "weir:sdk/imports",
        additional_derives: [PartialEq],
        generate_all,
        generate_unused_types: true,
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `lifecycle`.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world lifecycle { export weir:policy/lifecycle@0.2.0; }
        ",
        world: "weir:sdk/lifecycle",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        default_bindings_module: "weir_sdk::bindings::lifecycle",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-guard`.
pub mod guard {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world guard { export weir:policy/hook-guard@0.2.0; }
        ",
        world: "weir:sdk/guard",
        with: {
            "weir:policy/types@0.2.0": crate::bindings::imports::weir::policy::types,
            "weir:policy/request@0.2.0": crate::bindings::imports::weir::policy::request,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_guard",
        default_bindings_module: "weir_sdk::bindings::guard",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-route`.
pub mod route {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world route { export weir:policy/hook-route@0.2.0; }
        ",
        world: "weir:sdk/route",
        with: {
            "weir:policy/types@0.2.0": crate::bindings::imports::weir::policy::types,
            "weir:policy/request@0.2.0": crate::bindings::imports::weir::policy::request,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_route",
        default_bindings_module: "weir_sdk::bindings::route",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-on-error`.
pub mod on_error {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world on-error { export weir:policy/hook-on-error@0.2.0; }
        ",
        world: "weir:sdk/on-error",
        with: {
            "weir:policy/types@0.2.0": crate::bindings::imports::weir::policy::types,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_on_error",
        default_bindings_module: "weir_sdk::bindings::on_error",
        disable_run_ctors_once_workaround: true,
    });
}

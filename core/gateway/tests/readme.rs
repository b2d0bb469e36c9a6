//! The README's generated part is what the code says.

const BEGIN: &str = "<!-- reference: written by `WEIR_BLESS=1 cargo nextest run -p weir readme` -->\n";
const END: &str = "<!-- end of reference -->";

#[test]
fn the_config_reference_in_the_readme_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the marker");
    let (found, after) = rest.split_once(END).expect("the README has the end marker");
    let wanted = format!("\n{}\n", weir::config::reference_markdown().trim());
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "the config reference is stale: WEIR_BLESS=1 cargo nextest run -p weir readme");
}

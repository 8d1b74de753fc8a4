//! Compiles the C++ shim against libtorch's headers, and lets the tests find libtorch without
//! LD_LIBRARY_PATH, as the build script of the root package does.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim/shim.cpp");
    println!("cargo::rerun-if-env-changed=LIBTORCH_INCLUDE");
    println!("cargo::rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    // Set by torch-sys (links = "tch"), a direct dependency; not with its feature `doc-only`.
    let Ok(libraries) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    println!("cargo::rustc-link-arg=-Wl,-rpath,{libraries}");
    compile(&include_folder(Path::new(&libraries)));
}

/// `include` beside `lib`, or where torch-sys was told to look.
fn include_folder(libraries: &Path) -> PathBuf {
    let told = std::env::var("LIBTORCH_INCLUDE").map(|root| PathBuf::from(root).join("include"));
    told.unwrap_or_else(|_| libraries.parent().unwrap_or(libraries).join("include"))
}

fn compile(include: &Path) {
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        // libtorch's headers are not ours to mend.
        .flag(format!("-isystem{}", include.display()))
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .file("shim/shim.cpp")
        .compile("magiclens_shim");
}

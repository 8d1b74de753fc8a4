//! Lets the tests find libtorch without LD_LIBRARY_PATH, as the build script of the root package does.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set by torch-sys (links = "tch"), a direct dependency.
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

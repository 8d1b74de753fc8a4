//! Lets the binaries find libtorch without LD_LIBRARY_PATH (feature `torch`). A path in
//! LD_LIBRARY_PATH still wins, so that one build runs on a CPU and on a CUDA libtorch.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set by torch-sys (links = "tch"), which is only there with the feature.
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

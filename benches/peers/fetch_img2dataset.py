"""img2dataset on a list of URLs, set to do what the miner does: URLS OUTDIR."""

import sys

from img2dataset import download

if __name__ == "__main__":
    download(
        url_list=sys.argv[1],
        output_folder=sys.argv[2],
        input_format="txt",
        output_format="webdataset",
        processes_count=1,
        thread_count=32,
        image_size=256,
        resize_mode="keep_ratio_largest",
        resize_only_if_bigger=True,
        encode_format="jpg",
        encode_quality=90,
        compute_hash="sha256",
        number_sample_per_shard=1000,
        enable_wandb=False,
    )

"""An S3 of moto's with one bucket: `s3_server.py FOLDER`. Uploads the folder's files by boto3, prints the
endpoint, and serves until its stdin is closed."""

import logging
import sys
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

# A line for each request would drown what a test says.
logging.getLogger("werkzeug").setLevel(logging.ERROR)
folder = Path(sys.argv[1])
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
client = boto3.client(
    "s3", endpoint_url=endpoint, region_name="us-east-1",
    aws_access_key_id="test", aws_secret_access_key="test",
)
client.create_bucket(Bucket="bucket")
for path in sorted(folder.rglob("*")):
    if path.is_file():
        client.upload_file(str(path), "bucket", f"run/{path.relative_to(folder)}")
print(endpoint, flush=True)
sys.stdin.read()
server.stop()

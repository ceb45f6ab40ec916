"""A bucket on this machine, for tests: moto's server (PyPI `moto[server]`) with a bucket `images` that holds a folder.

Usage: s3_server.py FOLDER. Prints the server's address once it is ready, and ends when standard input does.
"""

import pathlib
import sys

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
address = f"http://{host}:{port}"
client = boto3.client(
    "s3",
    endpoint_url=address,
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
client.create_bucket(Bucket="images")
folder = pathlib.Path(sys.argv[1])
for path in sorted(folder.rglob("*")):
    if path.is_file():
        client.put_object(Bucket="images", Key=path.relative_to(folder).as_posix(), Body=path.read_bytes())
print(address, flush=True)
sys.stdin.read()
server.stop()

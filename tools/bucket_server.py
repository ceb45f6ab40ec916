"""A bucket `images` on this machine that holds a folder, for tests.

Usage: bucket_server.py s3|az FOLDER. Prints the server's address once it is ready, and ends when standard input does.

s3: moto (PyPI `moto[server]`). It answers gs:// requests for reading as well (unsigned), as Google's XML interface is that
    of S3.
az: Azurite (npm `azurite`, looked for in target/azurite).
"""

import pathlib
import socket
import subprocess
import sys
import time

AZURITE = pathlib.Path(__file__).parents[1] / "target/azurite/node_modules/azurite/dist/src/blob/main.js"
# The emulator's own, the same everywhere.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def s3(files):
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket="images")
    for name, content in files:
        client.put_object(Bucket="images", Key=name, Body=content, ACL="public-read")
    return address, server.stop


def az(files):
    from azure.storage.blob import ContainerClient

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--disableTelemetry"]
    arguments += ["--skipApiVersionCheck", "--silent"]
    server = subprocess.Popen(["node", AZURITE, *arguments], stdout=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            if server.poll() is not None:
                sys.exit("azurite did not start")
            time.sleep(0.1)
    address = f"http://127.0.0.1:{port}"
    client = ContainerClient(f"{address}/{AZURITE_ACCOUNT}", "images", credential=AZURITE_KEY)
    client.create_container()
    for name, content in files:
        client.upload_blob(name, content)
    return address, server.kill


def main():
    folder = pathlib.Path(sys.argv[2])
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = ((path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths)
    address, stop = {"s3": s3, "az": az}[sys.argv[1]](files)
    print(address, flush=True)
    sys.stdin.read()
    stop()


main()

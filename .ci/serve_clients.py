"""Unmodified official clients against a real `gptneo serve`.

    python .ci/serve_clients.py BINARY [--js FOLDER] [--data DIR [--documents N]]

Python packages: openai, ollama, langchain-openai, litellm, tritonclient[http,grpc]. With --js, FOLDER has node_modules with the
package `openai`. With --data (../shared/data) and the packages lm-eval and tenacity the harness scores LAMBADA through the server, and
each document must be that of `gptneo eval` within 1e-4. The program `openssl` makes a certificate for the clients that come by TLS.
"""

import argparse
import contextlib
import glob
import json
import math
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

KEY = "sk-of-the-client-tests"
PROMPT = "Once upon a time"


@contextlib.contextmanager
def server(binary, *flags):
    """A server on free ports; gives its address and that of gRPC."""
    words = [binary, "serve", "--port", "0", "--grpc-port", "0", "--api-key", KEY, *map(str, flags)]
    running = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    found = {}
    for line in running.stderr:
        if match := re.search(r"listening on (https?://\S+)", line):
            found["http"] = match[1]
        if match := re.search(r"gRPC on (\S+)", line):
            found["grpc"] = match[1]
        if line.startswith("ready"):
            break
    else:
        raise SystemExit(f"{words}: did not start")
    try:
        yield found["http"], found["grpc"]
    finally:
        running.terminate()
        code = running.wait(30)
        running.stderr.close()
        assert code == 0, f"the server ended with {code}"


def solo(binary, prompt, count):
    """What the command line continues a prompt with, greedily."""
    words = [binary, "run", prompt, "--temp", "0", "--repeat-penalty", "1", "-n", str(count), "--json"]
    return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)["text"]


def openai_sdk(http, wanted):
    import openai

    client = openai.OpenAI(base_url=f"{http}/v1", api_key=KEY, max_retries=0)
    assert [model.id for model in client.models.list()] == ["pocket"]
    assert client.models.retrieve("pocket").owned_by == "gptneo"
    done = client.completions.create(model="pocket", prompt=PROMPT, max_tokens=24, temperature=0)
    assert done.choices[0].text == wanted and done.usage.completion_tokens == 24, done
    parts = client.completions.create(
        model="pocket", prompt=PROMPT, max_tokens=24, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    parts = list(parts)
    assert "".join(part.choices[0].text for part in parts if part.choices) == wanted
    assert parts[-1].usage.total_tokens == done.usage.total_tokens
    several = client.completions.create(
        model="pocket", prompt=[PROMPT, "The dog"], n=2, best_of=3, max_tokens=8, temperature=0.9, seed=7, logprobs=3, stop=["."],
        logit_bias={"5": -100}, presence_penalty=0.5, frequency_penalty=0.5, top_p=0.9, user="me", extra_body={"top_k": 40, "min_p": 0.01},
    )
    assert [choice.index for choice in several.choices] == [0, 1, 2, 3]
    for choice in several.choices:
        assert len(choice.logprobs.tokens) == len(choice.logprobs.token_logprobs) == len(choice.logprobs.text_offset)
    scored = client.completions.create(model="pocket", prompt=PROMPT, max_tokens=0, echo=True, logprobs=1)
    assert scored.choices[0].text == PROMPT and scored.choices[0].logprobs.token_logprobs[0] is None
    assert scored.usage.completion_tokens == 0
    words = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me of a cat."}]
    chat = client.chat.completions.create(
        model="pocket", messages=words, max_completion_tokens=12, temperature=0, logprobs=True, top_logprobs=4,
        extra_body={"chat_template": "plain"},
    )
    content = chat.choices[0].logprobs.content
    assert len(content[0].top_logprobs) == 4 and content[0].top_logprobs[0].token == content[0].token
    streamed = client.chat.completions.create(
        model="pocket", messages=words, max_completion_tokens=12, temperature=0, stream=True, extra_body={"chat_template": "plain"}
    )
    text = "".join(part.choices[0].delta.content or "" for part in streamed if part.choices)
    assert text == chat.choices[0].message.content
    vectors = client.embeddings.create(model="pocket", input=["a cat", "a dog"])
    assert all(math.isclose(sum(x * x for x in one.embedding), 1, rel_tol=1e-3) for one in vectors.data)
    floats = client.embeddings.create(model="pocket", input=["a cat"], encoding_format="float")
    assert all(abs(a - b) < 1e-6 for a, b in zip(floats.data[0].embedding, vectors.data[0].embedding, strict=True))
    for error, call in [
        (openai.NotFoundError, lambda: client.completions.create(model="none", prompt="x")),
        (openai.BadRequestError, lambda: client.completions.create(model="pocket", prompt="x", n=9)),
        (openai.BadRequestError, lambda: client.chat.completions.create(model="pocket", messages=words)),
        (openai.AuthenticationError, lambda: openai.OpenAI(base_url=f"{http}/v1", api_key="wrong-key").models.list()),
        (openai.InternalServerError, lambda: client.moderations.create(input="x")),
    ]:
        try:
            call()
        except error as found:
            assert found.body["message"] if isinstance(found.body, dict) else found.message
        else:
            raise AssertionError(f"{error.__name__} was not raised")
    try:
        client.completions.create(model="pocket", prompt="word " * 1000)
    except openai.BadRequestError as found:
        assert found.code == "context_length_exceeded" and "512" in found.message, found
    cut = client.completions.create(model="pocket", prompt="word " * 1000, max_tokens=4, extra_body={"truncate_prompt_tokens": -1})
    assert cut.model_extra["warnings"]


def openai_js(http, folder, wanted):
    script = """
      import OpenAI from "openai";
      const client = new OpenAI({baseURL: process.env.HTTP + "/v1", apiKey: process.env.KEY, maxRetries: 0});
      const ids = []; for await (const model of client.models.list()) ids.push(model.id);
      const done = await client.completions.create({model: "pocket", prompt: process.env.PROMPT, max_tokens: 24, temperature: 0});
      let text = "";
      const parts = await client.completions.create({model: "pocket", prompt: process.env.PROMPT, max_tokens: 24, temperature: 0, stream: true});
      for await (const part of parts) text += part.choices[0]?.text ?? "";
      const messages = [{role: "user", content: "Hello"}];
      const chat = await client.chat.completions.create({model: "pocket", messages, max_tokens: 8, temperature: 0, chat_template: "plain"});
      const vectors = await client.embeddings.create({model: "pocket", input: "a cat"});
      let refused = ""; try { await client.completions.create({model: "none", prompt: "x"}) } catch (error) { refused = error.code }
      console.log(JSON.stringify({ids, whole: done.choices[0].text, text, chat: chat.choices[0].message.role, width: vectors.data[0].embedding.length, refused}));
    """
    path = pathlib.Path(folder) / "client.mjs"
    path.write_text(script)
    environment = {**os.environ, "HTTP": http, "KEY": KEY, "PROMPT": PROMPT}
    out = json.loads(subprocess.run(["node", path], check=True, capture_output=True, env=environment, cwd=folder).stdout)
    assert out["whole"] == out["text"] == wanted, out
    assert (out["ids"], out["chat"], out["refused"]) == (["pocket"], "assistant", "model_not_found"), out


def ollama_sdk(http, wanted):
    import ollama

    client = ollama.Client(host=http, headers={"Authorization": f"Bearer {KEY}"})
    assert [model.model for model in client.list().models] == ["pocket"]
    options = {"temperature": 0, "num_predict": 24, "repeat_penalty": 1}
    done = client.generate(model="pocket", prompt=PROMPT, options=options)
    assert done.response == wanted and done.done_reason == "length" and done.eval_count == 24, done
    assert done.total_duration > 0 and done.prompt_eval_count == 4
    assert "".join(part.response for part in client.generate(model="pocket:latest", prompt=PROMPT, options=options, stream=True)) == wanted
    shown = client.show("pocket")
    assert shown.modelinfo["general.architecture"] == "gpt_neo" and "completion" in shown.capabilities
    assert client.ps().models[0].model == "pocket"
    assert len(client.embed(model="pocket", input=["a", "b"]).embeddings) == 2
    try:
        client.chat(model="pocket", messages=[{"role": "user", "content": "hi"}])
    except ollama.ResponseError as error:
        assert error.status_code == 400 and "not trained to chat" in error.error
    else:
        raise AssertionError("a base model chatted")


def langchain(http, wanted):
    from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

    model = OpenAI(model="pocket", base_url=f"{http}/v1", api_key=KEY, temperature=0, max_tokens=24, max_retries=0)
    assert model.invoke(PROMPT) == wanted
    assert "".join(model.stream(PROMPT)) == wanted
    chat = ChatOpenAI(
        model="pocket", base_url=f"{http}/v1", api_key=KEY, temperature=0, max_tokens=8, extra_body={"chat_template": "plain"}
    )
    assert chat.invoke("Hello").content
    # Its own tokenizer is that of another maker's models.
    embeddings = OpenAIEmbeddings(model="pocket", base_url=f"{http}/v1", api_key=KEY, check_embedding_ctx_length=False)
    assert len(embeddings.embed_documents(["a cat", "a dog"])) == 2


def litellm(http, wanted):
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    common = dict(api_base=f"{http}/v1", api_key=KEY, temperature=0)
    done = litellm.text_completion(model="text-completion-openai/pocket", prompt=PROMPT, max_tokens=24, **common)
    assert done.choices[0].text == wanted, done
    chat = litellm.completion(
        model="openai/pocket", messages=[{"role": "user", "content": "Hello"}], max_tokens=8, extra_body={"chat_template": "plain"}, **common
    )
    assert chat.choices[0].message.content


def inference(http, grpc, wanted):
    """A client of the Open Inference Protocol, over HTTP and over gRPC."""
    import numpy
    import tritonclient.grpc
    import tritonclient.http

    headers = {"authorization": f"Bearer {KEY}"}
    texts = numpy.array([PROMPT.encode(), b"The dog"], dtype=object)
    parameters = {"max_tokens": 24, "temperature": 0}
    for kind, address in ((tritonclient.http, http.removeprefix("http://")), (tritonclient.grpc, grpc)):
        client = kind.InferenceServerClient(address)
        assert client.is_server_live(headers=headers) and client.is_server_ready(headers=headers)
        assert client.is_model_ready("pocket", headers=headers)
        client.get_model_metadata("pocket", headers=headers)
        text = kind.InferInput("text", [2], "BYTES")
        # In the request itself: this protocol's binary extension is another one.
        text.set_data_from_numpy(texts, **({"binary_data": False} if kind is tritonclient.http else {}))
        wanted_outputs = [kind.InferRequestedOutput("text", **({"binary_data": False} if kind is tritonclient.http else {}))]
        found = client.infer("pocket", [text], outputs=wanted_outputs, parameters=parameters, headers=headers, request_id="7")
        answer = found.as_numpy("text")[0]
        assert (answer.decode() if isinstance(answer, bytes) else answer) == wanted, answer
        try:
            client.infer("none", [text], headers=headers)
        except Exception as error:
            assert "does not exist" in str(error), error
        else:
            raise AssertionError("a model that is not there answered")


def harness(binary, data, documents):
    """lm-eval through the server, against `gptneo eval`, document by document."""
    model = f"{data}/weights/tinytalk-gptneo-hf"
    with tempfile.TemporaryDirectory() as folder:
        rows = [json.loads(line) for line in open(f"{data}/eval/lambada/lambada_test.jsonl", encoding="utf-8")][:documents]
        where = pathlib.Path(folder, "EleutherAI/lambada_openai/default")
        where.mkdir(parents=True)
        for split in ("train", "validation", "test"):
            (where / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        words = [binary, "eval", "-m", model, "--tasks", "lambada_openai", "--data", folder, "--offline", "--log-samples", "-o", f"{folder}/out"]
        subprocess.run(words, check=True, capture_output=True)
        path, = glob.glob(f"{folder}/out/*/samples_lambada_openai_*.jsonl")
        ours = {sample["doc_id"]: sample for sample in map(json.loads, open(path, encoding="utf-8"))}
        with server(binary, "-m", f"tinytalk={model}", "--quant", "f32") as (http, _):
            os.environ["OPENAI_API_KEY"] = KEY
            import datasets
            import lm_eval

            load = lambda *_, **__: datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})
            datasets.load_dataset = load
            found = lm_eval.simple_evaluate(
                model="local-completions",
                model_args={
                    "model": "tinytalk", "base_url": f"{http}/v1/completions", "tokenizer": model, "tokenized_requests": True,
                    "num_concurrent": 4, "max_retries": 1,
                },
                tasks=["lambada_openai"],
                log_samples=True,
                bootstrap_iters=0,
            )
        worst = 0.0
        assert len(found["samples"]["lambada_openai"]) == len(ours) == documents
        for sample in found["samples"]["lambada_openai"]:
            theirs, greedy = sample["filtered_resps"][0]
            mine = ours[sample["doc_id"]]["filtered_resps"][0]
            worst = max(worst, abs(float(mine[0]) - theirs))
            assert str(mine[1]) == str(greedy), (mine, greedy)
        print(f"LAMBADA through the server: {documents} documents, log-likelihoods at most {worst:.1e} apart")
        assert worst <= 1e-4


def secure(binary, wanted):
    """OpenAI's client and one of gRPC over TLS; who speaks no TLS, or an old one, or knows no such certificate, hears nothing."""
    import httpx
    import openai
    import tritonclient.grpc

    with tempfile.TemporaryDirectory() as folder:
        certificate, key = f"{folder}/certificate.pem", f"{folder}/key.pem"
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        words += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", certificate, "-keyout", key]
        subprocess.run(words, check=True, capture_output=True)
        with server(binary, "--ssl-cert-file", certificate, "--ssl-key-file", key) as (http, grpc):
            assert http.startswith("https://"), http
            trusting = ssl.create_default_context(cafile=certificate)
            with httpx.Client(verify=trusting) as by:
                client = openai.OpenAI(base_url=f"{http}/v1", api_key=KEY, max_retries=0, http_client=by)
                parts = client.completions.create(model="pocket", prompt=PROMPT, max_tokens=24, temperature=0, stream=True)
                assert "".join(part.choices[0].text for part in parts) == wanted
            metadata = {"authorization": f"Bearer {KEY}"}
            by = tritonclient.grpc.InferenceServerClient(grpc, ssl=True, root_certificates=certificate)
            assert by.is_model_ready("pocket", headers=metadata)
            host, port = http.removeprefix("https://").rsplit(":", 1)
            try:
                urllib.request.urlopen(f"{http}/health/live", timeout=10)
            except urllib.error.URLError as error:
                assert isinstance(error.reason, ssl.SSLCertVerificationError), error
            else:
                raise AssertionError("a certificate that nobody vouches for was taken")
            with socket.create_connection((host, int(port)), 10) as plain:
                plain.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                heard = b"".join(iter(lambda: plain.recv(1 << 12), b""))
                assert not heard.startswith(b"HTTP/"), heard
            old = ssl.create_default_context(cafile=certificate)
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.set_ciphers("ALL:@SECLEVEL=0")
            try:
                with socket.create_connection((host, int(port)), 10) as plain:
                    old.wrap_socket(plain, server_hostname="localhost")
            except (ssl.SSLError, ConnectionError):
                pass
            else:
                raise AssertionError("TLS 1.1 was spoken")
        other = f"{folder}/other.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", other], check=True, capture_output=True)
        for cert, secret in [(key, key), (certificate, certificate), (certificate, other), (certificate, f"{folder}/none.pem")]:
            words = [binary, "serve", "--port", "0", "--ssl-cert-file", cert, "--ssl-key-file", secret]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
            assert done.returncode not in (0, 101) and "error: " in done.stderr, (cert, secret, done)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--js", help="a folder whose node_modules has `openai`")
    parser.add_argument("--data", help="evaluation sets and weights")
    parser.add_argument("--documents", type=int, default=60, help="of LAMBADA, which has 5153")
    parser.add_argument("--few", action="store_true", help="the lighter ones: openai, ollama and tritonclient")
    parser.add_argument("--only", help="one of the clients")
    args = parser.parse_args()
    wanted = solo(args.binary, PROMPT, 24)
    with server(args.binary) as (http, grpc):
        clients = {
            "openai": lambda: openai_sdk(http, wanted),
            "ollama": lambda: ollama_sdk(http, wanted),
            "langchain": lambda: langchain(http, wanted),
            "litellm": lambda: litellm(http, wanted),
            "inference": lambda: inference(http, grpc, wanted),
        }
        if args.few:
            clients = {name: clients[name] for name in ("openai", "ollama", "inference")}
        clients["tls"] = lambda: secure(args.binary, wanted)
        if args.js:
            clients["openai-js"] = lambda: openai_js(http, args.js, wanted)
        for name, client in clients.items():
            if args.only in (None, name):
                client()
                print(f"{name}: as it should be", flush=True)
    if args.data and args.only in (None, "lm-eval"):
        harness(args.binary, args.data, args.documents)


if __name__ == "__main__":
    sys.exit(main())

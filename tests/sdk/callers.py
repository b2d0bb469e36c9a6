"""The three APIs as their callers use them: one class each over the official SDK, all with the same few methods."""

import base64
import json
from dataclasses import dataclass, field

import anthropic
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from tape import Tape


@dataclass
class Called:
    id: str
    name: str
    arguments: dict
    # As it came, where the API gives text.
    text: str = None


@dataclass
class Tool:
    name: str
    description: str
    schema: dict


@dataclass
class Medium:
    """A picture or a document, by its bytes."""
    mime: str
    data: bytes
    name: str = "paper.pdf"

    @property
    def base64(self):
        return base64.b64encode(self.data).decode()

    @property
    def url(self):
        return f"data:{self.mime};base64,{self.base64}"


@dataclass
class Said:
    """What a model said, in words that all three share. `finish`: stop, length, tools, refusal."""
    text: str = ""
    calls: list = field(default_factory=list)
    thinking: str = ""
    refusal: str = ""
    finish: str = None
    # `None` where the API does not say.
    stop_sequence: str = None
    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    reasoning: int = 0
    parsed: object = None
    native: object = None

    @property
    def refused(self):
        return self.finish == "refusal" or bool(self.refusal)


@dataclass
class Ask:
    """What is asked beside the conversation."""
    stream: bool = False
    system: str = None
    tools: list = ()
    # auto, none, any or a tool's name.
    choice: str = None
    parallel: bool = None
    form: type = None
    max_tokens: int = None
    stop: list = None
    thinks: bool = False
    temperature: float = None
    extra: dict = None
    headers: dict = None


def given(**fields):
    return {name: value for name, value in fields.items() if value is not None}


class Caller:
    sdk = None

    def __init__(self, gateway, **options):
        self.tape = Tape()
        options = {"api_key": gateway.key, "max_retries": 0, "http_client": self.tape.client()} | options
        self.client = self.connect(gateway, options)

    def close(self):
        self.client.close()

    def say(self, model, text, **ask):
        """One turn, without a past."""
        return self.ask(model, [self.user(text)], **ask)

    def ask(self, model, talk, **ask):
        ask = Ask(**ask)
        return self.send(model, talk, ask, self.options(ask))


class Chat(Caller):
    name, path, sdk, request_id = "chat", "/v1/chat/completions", openai, "x-request-id"

    @staticmethod
    def connect(gateway, options):
        return openai.OpenAI(base_url=gateway.url, **options)

    @staticmethod
    def user(text, *media):
        parts = [{"type": "text", "text": text}] + [
            {"type": "file", "file": {"filename": each.name, "file_data": each.url}} if each.mime == "application/pdf" else
            {"type": "image_url", "image_url": {"url": each.url}} for each in media]
        return {"role": "user", "content": parts if media else text}

    @staticmethod
    def past(said):
        """What a caller keeps of a reply."""
        message = said.native.model_dump(exclude_none=True, exclude={"parsed"})
        for call in message.get("tool_calls", ()):
            call.pop("index", None)  # what the SDK's own accumulator leaves there
        return [message]

    @staticmethod
    def results(pairs):
        return [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in pairs]

    @staticmethod
    def options(ask):
        tools = [{"type": "function", "function": {"name": each.name, "description": each.description, "parameters": each.schema}}
                 for each in ask.tools]
        choice = {"any": "required"}.get(ask.choice, ask.choice)
        if choice not in (None, "auto", "none", "required"):
            choice = {"type": "function", "function": {"name": choice}}
        return given(tools=tools or None, tool_choice=choice, parallel_tool_calls=ask.parallel, max_completion_tokens=ask.max_tokens,
                     stop=ask.stop, temperature=ask.temperature, reasoning_effort="medium" if ask.thinks else None,
                     response_format=ask.form, extra_body=ask.extra, extra_headers=ask.headers)

    def send(self, model, talk, ask, options):
        messages = [{"role": "system", "content": ask.system}] * (ask.system is not None) + talk
        options |= {"model": model, "messages": messages}
        if ask.stream and ask.form:
            with self.client.chat.completions.stream(**options, stream_options={"include_usage": True}) as stream:
                return self.said(stream.get_final_completion())
        if ask.stream:
            state = ChatCompletionStreamState()
            for chunk in self.client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True}):
                state.handle_chunk(chunk)
            return self.said(state.current_completion_snapshot)
        completions = self.client.chat.completions
        return self.said(completions.parse(**options) if ask.form else completions.create(**options))

    @staticmethod
    def said(reply):
        choice, usage = reply.choices[0], reply.usage
        message = choice.message
        finish = {"tool_calls": "tools", "content_filter": "refusal"}.get(choice.finish_reason, choice.finish_reason)
        said = Said(message.content or "", refusal=message.refusal or "", finish=finish, native=message, parsed=getattr(message, "parsed", None))
        said.thinking = getattr(message, "reasoning_content", None) or ""
        for call in message.tool_calls or ():
            said.calls.append(called(call.id, call.function.name, call.function.arguments))
        if usage:
            said.input, said.output = usage.prompt_tokens, usage.completion_tokens
            if details := usage.prompt_tokens_details:
                said.cached, said.written = details.cached_tokens or 0, details.cache_write_tokens or 0
            if details := usage.completion_tokens_details:
                said.reasoning = details.reasoning_tokens or 0
            assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        return said


def called(one, name, arguments):
    try:
        return Called(one, name, json.loads(arguments), arguments)
    except ValueError:
        return Called(one, name, None, arguments)


class Responses(Caller):
    name, path, sdk, request_id = "responses", "/v1/responses", openai, "x-request-id"
    connect = staticmethod(Chat.connect)

    @staticmethod
    def user(text, *media):
        parts = [{"type": "input_text", "text": text}] + [
            {"type": "input_file", "filename": each.name, "file_data": each.url} if each.mime == "application/pdf" else
            {"type": "input_image", "image_url": each.url, "detail": "auto"} for each in media]
        return {"role": "user", "content": parts if media else text}

    @staticmethod
    def past(said):
        return [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}, by_alias=True) for item in said.native.output]

    @staticmethod
    def results(pairs):
        return [{"type": "function_call_output", "call_id": call.id, "output": text} for call, text in pairs]

    @staticmethod
    def options(ask):
        tools = [{"type": "function", "name": each.name, "description": each.description, "parameters": each.schema, "strict": False}
                 for each in ask.tools]
        choice = {"any": "required"}.get(ask.choice, ask.choice)
        if choice not in (None, "auto", "none", "required"):
            choice = {"type": "function", "name": choice}
        thinking = {"reasoning": {"effort": "medium", "summary": "auto"}, "include": ["reasoning.encrypted_content"]} if ask.thinks else {}
        return thinking | given(instructions=ask.system, tools=tools or None, tool_choice=choice, parallel_tool_calls=ask.parallel,
                                max_output_tokens=ask.max_tokens, temperature=ask.temperature, text_format=ask.form, extra_body=ask.extra,
                                extra_headers=ask.headers, store=False)

    def send(self, model, talk, ask, options):
        options |= {"model": model, "input": talk}
        if not ask.stream:
            return self.said(self.client.responses.parse(**options) if ask.form else self.client.responses.create(**options))
        last = None
        with self.client.responses.stream(**options) as stream:
            for event in stream:
                if event.type in ("response.completed", "response.incomplete", "response.failed"):
                    last = event.response
        assert last is not None, "the stream has no terminal event"
        return self.said(last)

    @staticmethod
    def said(reply):
        reason = reply.incomplete_details.reason if reply.incomplete_details else None
        finish = {"max_output_tokens": "length", "content_filter": "refusal"}.get(reason, reply.status)
        said = Said(reply.output_text, finish={"completed": "stop"}.get(finish, finish), native=reply)
        for item in reply.output:
            if item.type == "function_call":
                said.calls.append(called(item.call_id, item.name, item.arguments))
            elif item.type == "reasoning":
                said.thinking += "".join(part.text for part in [*item.summary, *(item.content or ())])
            elif item.type == "message":
                said.refusal += "".join(part.refusal for part in item.content if part.type == "refusal")
                said.parsed = next((part.parsed for part in item.content if getattr(part, "parsed", None)), said.parsed)
        if said.calls and said.finish == "stop":
            said.finish = "tools"
        if usage := reply.usage:
            said.input, said.output = usage.input_tokens, usage.output_tokens
            said.cached, said.written = usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens
            said.reasoning = usage.output_tokens_details.reasoning_tokens
            assert usage.total_tokens == usage.input_tokens + usage.output_tokens
        return said


class Messages(Caller):
    name, path, sdk, request_id = "messages", "/v1/messages", anthropic, "request-id"

    @staticmethod
    def connect(gateway, options):
        return anthropic.Anthropic(base_url=gateway.url.removesuffix("/v1"), **options)

    @staticmethod
    def user(text, *media):
        blocks = [{"type": "document" if each.mime == "application/pdf" else "image",
                   "source": {"type": "base64", "media_type": each.mime, "data": each.base64}} for each in media]
        return {"role": "user", "content": [*blocks, {"type": "text", "text": text}] if media else text}

    @staticmethod
    def past(said):
        return [{"role": "assistant", "content": said.native.content}]

    @staticmethod
    def results(pairs):
        return [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in pairs]}]

    def options(self, ask):
        tools = [{"name": each.name, "description": each.description, "input_schema": each.schema} for each in ask.tools]
        choice = None
        if ask.choice is not None or ask.parallel is not None:
            kind = ask.choice or "auto"
            choice = {"type": kind} if kind in ("auto", "any", "none") else {"type": "tool", "name": kind}
            choice |= {} if ask.parallel is None else {"disable_parallel_tool_use": not ask.parallel}
        thinking = {"type": "enabled", "budget_tokens": 2048} if ask.thinks else None
        # The SDK has no argument for it any more; callers of the older version of the API still send it.
        extra = (ask.extra or {}) | given(temperature=ask.temperature)
        headers = (ask.headers or {}) | ({"anthropic-version": "2023-06-01", "x-api-key": self.client.api_key} if ask.temperature is not None else {})
        return given(system=ask.system, tools=tools or None, tool_choice=choice, max_tokens=ask.max_tokens or 4096, stop_sequences=ask.stop,
                     thinking=thinking, output_format=ask.form, extra_body=extra or None, extra_headers=headers or None)

    def send(self, model, talk, ask, options):
        options |= {"model": model, "messages": talk}
        if ask.stream:
            with self.client.messages.stream(**options) as stream:
                return self.said(stream.get_final_message())
        return self.said(self.client.messages.parse(**options) if ask.form else self.client.messages.create(**options))

    @staticmethod
    def said(reply):
        finish = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tools", "stop_sequence": "stop"}.get(reply.stop_reason, reply.stop_reason)
        said = Said(finish=finish, native=reply, stop_sequence=reply.stop_sequence or "")
        for block in reply.content:
            if block.type == "text":
                said.text += block.text
                said.parsed = getattr(block, "parsed_output", None) or said.parsed
            elif block.type == "thinking":
                said.thinking += block.thinking
            elif block.type == "tool_use":
                said.calls.append(Called(block.id, block.name, block.input))
        usage = reply.usage
        said.cached, said.written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        said.input, said.output = usage.input_tokens + said.cached + said.written, usage.output_tokens
        if usage.output_tokens_details:
            said.reasoning = usage.output_tokens_details.thinking_tokens or 0
        return said


ALL = (Chat, Responses, Messages)

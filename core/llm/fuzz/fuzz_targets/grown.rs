//! Documents grown from the fuzzer's bytes with the words of the four dialects, so that what comes out is JSON that the
//! readers know their way in: raw bytes hardly ever are.

/// Keys, and texts that mean something as values.
const WORDS: &str = "id type role name text content index model delta choices message messages usage error code param \
    tool_calls function function_call arguments custom input output finish_reason stop_reason stop_sequence stop \
    tool_use tool_use_id tool_result thinking signature redacted_thinking data partial_json input_json_delta text_delta \
    thinking_delta signature_delta citations_delta citation citations url title cited_text content_block \
    content_block_start content_block_delta content_block_stop message_start message_delta message_stop ping end_turn \
    max_tokens refusal pause_turn candidates parts functionCall functionResponse args thought thoughtSignature \
    finishReason STOP MAX_TOKENS SAFETY promptFeedback blockReason usageMetadata promptTokenCount candidatesTokenCount \
    groundingMetadata groundingChunks groundingSupports web uri segment startIndex endIndex inlineData mimeType \
    executableCode codeExecutionResult language logprobsResult chosenCandidates topCandidates response output_index \
    content_index summary_index item_id item response.created response.completed response.incomplete response.failed \
    response.output_item.added response.output_item.done response.output_text.delta response.output_text.done \
    response.function_call_arguments.delta response.function_call_arguments.done response.refusal.delta \
    response.reasoning_summary_text.delta response.reasoning_text.delta response.output_text.annotation.added \
    response.custom_tool_call_input.delta annotation annotations output_text summary_text input_text reasoning summary \
    encrypted_content call_id function_call_output custom_tool_call custom_tool_call_output item_reference phase \
    reasoning_content reasoning_details reasoning_effort prompt_tokens completion_tokens total_tokens \
    prompt_tokens_details cached_tokens input_tokens output_tokens cache_creation cache_read_input_tokens \
    input_tokens_details status completed incomplete failed incomplete_details reason max_output_tokens content_filter \
    tools tool_choice parallel_tool_calls response_format json_schema json_object schema strict format temperature \
    top_p top_k seed n logprobs top_logprobs stream stream_options include_usage user metadata store service_tier auto \
    none required any tool allowed_tools mode system developer assistant tool_call_id image_url input_image \
    input_file file file_data file_id filename input_audio document image source base64 media_type url_citation \
    cache_control ephemeral ttl 1h budget_tokens enabled disabled adaptive effort low high xhigh instructions \
    previous_response_id context_management output_config stop_sequences disable_parallel_tool_use grammar definition \
    object array string integer number boolean null properties items additionalProperties anyOf oneOf allOf const enum \
    $ref $defs definitions #/$defs/text #/$defs/name # #/definitions/text minimum maximum minLength pattern default \
    description nullable prefixItems not if then weir1_as4_ weir1_gh2_AAAA x_weir1_gQUJD call_1 get_weather \
    data:image/png;base64,AAAA https://example.com/a.png {\"a\":1} {\"a\":[1,{\"b\":\" {} [DONE] text/plain audio/wav \
    claude-sonnet-4-5 gpt-5 gemini-2.5-flash fast";

/// Bytes that decide.
pub struct Seed<'a>(pub &'a [u8]);

impl Seed<'_> {
    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// Whether bytes are left.
    pub fn more(&self) -> bool {
        !self.0.is_empty()
    }

    /// One of the words.
    pub fn word(&mut self) -> &'static str {
        thread_local!(static ALL: Vec<&'static str> = WORDS.split_ascii_whitespace().collect());
        let at = usize::from(self.byte()) * 256 + usize::from(self.byte());
        ALL.with(|all| all[at % all.len()])
    }

    /// A value as JSON text.
    pub fn value(&mut self, depth: usize, out: &mut String) {
        let kind = self.byte() % 16;
        match kind {
            0 => out.push_str("null"),
            1 => out.push_str("true"),
            2 => out.push_str("false"),
            3 | 4 => out.push_str(&(self.byte() % 8).to_string()),
            5 => out.push_str("-1.5e3"),
            6 => out.push_str("\"\\u00e9\\ud83d\\ude00\\n\\\"é\""),
            7..=9 | 10 if depth > 12 => quoted(self.word(), out),
            7..=9 => quoted(self.word(), out),
            10 | 11 => self.list(depth, out),
            _ if depth > 12 => out.push_str("{}"),
            _ => self.object(depth, out),
        }
    }

    fn list(&mut self, depth: usize, out: &mut String) {
        out.push('[');
        for at in 0..self.byte() % 4 {
            if at > 0 {
                out.push(',');
            }
            self.value(depth + 1, out);
        }
        out.push(']');
    }

    /// An object as JSON text, without a key twice.
    pub fn object(&mut self, depth: usize, out: &mut String) {
        out.push('{');
        let mut keys = Vec::new();
        for _ in 0..self.byte() % 8 {
            let key = self.word();
            if keys.contains(&key) {
                continue;
            }
            if !keys.is_empty() {
                out.push(',');
            }
            keys.push(key);
            quoted(key, out);
            out.push(':');
            self.value(depth + 1, out);
        }
        out.push('}');
    }
}

fn quoted(text: &str, out: &mut String) {
    let mut bytes = Vec::new();
    weir_llm::json::quote(text, &mut bytes);
    out.push_str(std::str::from_utf8(&bytes).unwrap());
}

/// The bytes themselves if they say so, else a document grown from them.
pub fn document(data: &[u8]) -> Vec<u8> {
    match data.split_first() {
        Some((first, rest)) if first % 4 == 0 => rest.to_vec(),
        _ => {
            let mut out = String::new();
            Seed(data).object(0, &mut out);
            out.into_bytes()
        }
    }
}

# Sends what stands on standard input as one batch to Relance's push API, signed. For bash; needs curl and openssl.
#
#   RELANCE_URL     where Relance's public listener is reached, for example https://relance.boutique.example
#   RELANCE_SHOP    name of the shop's file in shops/; comptoir is the one of `relance demo`
#   RELANCE_SECRET  one of push.secrets in that file
#
# A plugin signs in its own language: openssl shows the secret to whoever lists this machine's processes meanwhile.

: "${RELANCE_URL:?say where Relance is: RELANCE_URL=http://127.0.0.1:8480}"
RELANCE_SHOP=${RELANCE_SHOP:-comptoir}
RELANCE_SECRET=${RELANCE_SECRET:-demo-secret-that-everybody-knows-0123456789}

# send NAME < batch.json: fails unless every record was taken.
send() {
	local body timestamp signature answer
	body=$(cat) # without the line end after it: what is signed is what is sent
	timestamp=$(date +%s)
	signature=$(printf '%s.%s' "$timestamp" "$body" | openssl dgst -sha256 -hmac "$RELANCE_SECRET" | sed 's/^.*= *//')
	answer=$(printf '%s' "$body" | curl -sS --fail-with-body --retry 5 \
		-H 'Content-Type: application/json' \
		-H "X-Relance-Timestamp: $timestamp" \
		-H "X-Relance-Signature: $signature" \
		--data-binary @- "$RELANCE_URL/v1/shops/$RELANCE_SHOP/records") || {
		echo "$1: $answer" >&2
		return 1
	}
	echo "$1: $answer"
	case $answer in *'"rejected":0,'*) ;; *) return 1 ;; esac
}

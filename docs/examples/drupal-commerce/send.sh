#!/usr/bin/env bash
# What a Drupal module for Commerce 2 or 3 sends, with the entities of an invented shop. See README.md for which field goes
# where.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../relance.sh"

now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
changed=$(date +%s)000 # the entity's changed in milliseconds: the sequence number of every record

# taxonomy terms, commerce_product and its commerce_product_variation
send catalogue <<JSON
{"history": true, "records": [
  {"kind": "category", "id": "dc-12", "sequence": $changed, "data": {"name": "Carnets", "slug": "/carnets"}},
  {"kind": "product", "id": "dc-5", "sequence": $changed, "data": {
    "name": "Carnet cousu", "type": "default", "url": "https://drupal.example/carnet-cousu", "categories": ["dc-12"]}},
  {"kind": "product", "id": "dc-v8", "sequence": $changed, "data": {
    "parent_id": "dc-5", "name": "Carnet cousu, A5", "sku": "CAR-A5", "price": "14.500000", "currency": "EUR", "in_stock": true}}
]}
JSON

# user with its customer profile (address_given_name, address_line1…)
send customers <<JSON
{"records": [
  {"kind": "customer", "id": "dc-77", "sequence": $changed, "data": {
    "email": "karim.drupal@example.com", "first_name": "Karim", "last_name": "Exemple", "locale": "fr",
    "registered_at": "2024-09-14T08:12:00Z", "role": "authenticated",
    "address": {"line1": "8 rue Haute", "postcode": "67000", "city": "Strasbourg", "country": "FR"}}}
]}
JSON

# A webform submission with the text of its checkbox
send consents <<JSON
{"records": [
  {"kind": "consent", "id": "dc-sid-$changed", "data": {
    "customer_id": "dc-77", "email": "karim.drupal@example.com", "state": "granted", "at": "$now",
    "text": "I would like to hear of new notebooks.", "source": "webform newsletter", "ip": "203.0.113.10"}}
]}
JSON

# An order in state draft with cart = 1 is a cart; it keeps its id when it is placed
send cart <<JSON
{"records": [
  {"kind": "cart", "id": "dc-310", "sequence": $changed, "data": {
    "customer_id": "dc-77", "email": "karim.drupal@example.com", "currency": "EUR", "total": "29.00", "active_at": "$now",
    "recover_url": "https://drupal.example/cart", "lines": [
      {"id": "901", "product_id": "dc-5", "variation_id": "dc-v8", "sku": "CAR-A5", "name": "Carnet cousu, A5", "quantity": "2.00", "total": "29.000000"}]}}
]}
JSON
send order <<JSON
{"records": [
  {"kind": "order", "id": "dc-310", "sequence": $changed, "data": {
    "number": "2026-310", "customer_id": "dc-77", "email": "karim.drupal@example.com", "status": "fulfillment", "state": "accepted",
    "currency": "EUR", "shipping": "3.900000", "total": "32.900000", "placed_at": "$now", "cart_id": "dc-310", "country": "FR", "lines": [
      {"id": "901", "product_id": "dc-5", "variation_id": "dc-v8", "sku": "CAR-A5", "name": "Carnet cousu, A5", "quantity": "2.00", "total": "29.000000"}]}},
  {"kind": "refund", "id": "dc-pay-55", "sequence": $changed, "data": {
    "order_id": "dc-310", "currency": "EUR", "amount": "14.50", "at": "$now", "reason": "one was damaged"}}
]}
JSON

# Somebody looks at a product; nobody is asked who they are, so only those logged in are sent
send visit <<JSON
{"records": [
  {"kind": "event", "id": "dc-visit-$changed", "data": {
    "name": "viewed_product", "customer_id": "dc-77", "at": "$now", "properties": {"product": "dc-5"}}}
]}
JSON

# And a cart that is left behind
send "a cart left behind" <<JSON
{"records": [
  {"kind": "cart", "id": "dc-311", "sequence": $changed, "data": {
    "email": "guest.drupal@example.com", "currency": "EUR", "total": "14.50", "active_at": "$now",
    "lines": [{"id": "902", "product_id": "dc-5", "variation_id": "dc-v8", "sku": "CAR-A5", "name": "Carnet cousu, A5", "quantity": 1, "total": "14.50"}]}}
]}
JSON

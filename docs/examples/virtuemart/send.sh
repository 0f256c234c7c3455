#!/usr/bin/env bash
# What a Joomla plugin for VirtueMart sends, with the rows of an invented shop. See README.md for which column goes where.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../relance.sh"

now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
changed=$(date +%s)000 # modified_on in milliseconds: the sequence number of every record

# #__virtuemart_categories_fr_fr, #__virtuemart_products and their prices, manufacturer and stock
send catalogue <<JSON
{"history": true, "records": [
  {"kind": "category", "id": "vm-4", "sequence": $changed, "data": {"name": "Thés verts", "slug": "thes-verts"}},
  {"kind": "product", "id": "vm-31", "sequence": $changed, "data": {
    "name": "Sencha, 100 g", "sku": "SEN-100", "status": "publish", "price": "8.90000", "currency": "EUR", "stock": 42,
    "brand": "Maison du Thé", "categories": ["vm-4"], "url": "https://joomla.example/thes-verts/sencha"}}
]}
JSON

# #__users with #__virtuemart_userinfos (address_type BT)
send customers <<JSON
{"records": [
  {"kind": "customer", "id": "vm-42", "sequence": $changed, "data": {
    "email": "claire.virtuemart@example.com", "first_name": "Claire", "last_name": "Exemple", "phone": "0556000000",
    "locale": "fr-FR", "registered_at": "2025-03-01T10:00:00Z", "attributes": {"shopper_group": "Particuliers"},
    "address": {"line1": "3 quai des Ateliers", "postcode": "33000", "city": "Bordeaux", "country": "FR"}}}
]}
JSON

# The box "I want the letter" of the registration form, kept by the plugin with the text that stood beside it
send consents <<JSON
{"records": [
  {"kind": "consent", "id": "vm-42-$changed", "data": {
    "customer_id": "vm-42", "email": "claire.virtuemart@example.com", "state": "granted", "at": "$now",
    "text": "Oui, écrivez-moi quand un nouveau thé arrive.", "source": "VirtueMart: inscription", "ip": "203.0.113.9"}}
]}
JSON

# The cart as plgVmOnUpdateCart sees it, then the order that it becomes: #__virtuemart_orders, order_items, order_userinfos
send cart <<JSON
{"records": [
  {"kind": "cart", "id": "vm-cart-7f3a", "sequence": $changed, "data": {
    "customer_id": "vm-42", "email": "claire.virtuemart@example.com", "currency": "EUR", "total": "17.80", "active_at": "$now",
    "recover_url": "https://joomla.example/panier", "lines": [
      {"product_id": "vm-31", "sku": "SEN-100", "name": "Sencha, 100 g", "quantity": 2, "total": "17.80"}]}}
]}
JSON
send order <<JSON
{"records": [
  {"kind": "order", "id": "vm-1007", "sequence": $changed, "data": {
    "number": "A1B2C3", "customer_id": "vm-42", "email": "claire.virtuemart@example.com", "first_name": "Claire", "last_name": "Exemple",
    "status": "C", "state": "accepted", "currency": "EUR", "goods": "17.80000", "shipping": "4.90", "tax": "2.11", "total": "22.70000",
    "placed_at": "$now", "cart_id": "vm-cart-7f3a", "country": "FR", "city": "Bordeaux", "coupons": [], "lines": [
      {"id": "2001", "product_id": "vm-31", "sku": "SEN-100", "name": "Sencha, 100 g", "quantity": 2, "total": "17.80000"}]}}
]}
JSON

# A visitor without an account leaves a cart behind: this one is the reminder's
send "a cart left behind" <<JSON
{"records": [
  {"kind": "cart", "id": "vm-cart-90c1", "sequence": $changed, "data": {
    "email": "guest.virtuemart@example.com", "currency": "EUR", "total": "8.90", "active_at": "$now",
    "lines": [{"product_id": "vm-31", "sku": "SEN-100", "name": "Sencha, 100 g", "quantity": 1, "total": "8.90"}]}}
]}
JSON

package cli

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/client"
)

// shop makes up the orders of a small web shop. Each order goes through its steps one event at a time, among others.
type shop struct {
	random *rand.Rand
	next   int
	open   []*order
}

// order is one order on its way.
type order struct {
	ID       string    `json:"id"`
	Customer customer  `json:"customer"`
	Items    []item    `json:"items"`
	Total    string    `json:"total"`
	Currency string    `json:"currency"`
	Payment  string    `json:"payment,omitempty"`
	Carrier  string    `json:"carrier,omitempty"`
	Tracking string    `json:"tracking,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Placed   time.Time `json:"placed"`
	steps    []string  // the event types still to come
}

type customer struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	City  string `json:"city"`
}

type item struct {
	SKU      string `json:"sku"`
	Name     string `json:"name"`
	Quantity int    `json:"quantity"`
	Price    string `json:"price"`
	cents    int
}

var (
	customers = []customer{
		{"Jana Nováková", "jana.novakova@example.com", "Praha"},
		{"Tomáš Dvořák", "tomas.dvorak@example.com", "Brno"},
		{"Amina Diallo", "amina.diallo@example.org", "Lyon"},
		{"Oliver Smith", "oliver.smith@example.net", "Leeds"},
		{"Lena Fischer", "lena.fischer@example.com", "Hamburg"},
		{"Mateo García", "mateo.garcia@example.org", "Sevilla"},
		{"Yuki Tanaka", "yuki.tanaka@example.net", "Osaka"},
		{"Zofia Kowalska", "zofia.kowalska@example.com", "Kraków"},
	}
	goods = []item{
		{SKU: "LAMP-01", Name: "Desk lamp", cents: 8990},
		{SKU: "MUG-12", Name: "Stoneware mug", cents: 1450},
		{SKU: "BOOK-77", Name: "Field guide to birds", cents: 2400},
		{SKU: "CHAIR-3", Name: "Oak chair", cents: 18900},
		{SKU: "TEA-05", Name: "Green tea, 250 g", cents: 1190},
		{SKU: "PEN-40", Name: "Fountain pen", cents: 5600},
		{SKU: "RUG-08", Name: "Wool rug, 120 × 180", cents: 24900},
		{SKU: "BULB-60", Name: "LED bulb, 9 W", cents: 690},
	}
	payments = []string{"card", "card", "card", "bank transfer", "PayPal", "cash on delivery"}
	carriers = []string{"DHL", "PPL", "DPD", "Packeta", "Royal Mail"}
	reasons  = []string{"changed my mind", "found it cheaper", "out of stock", "payment failed"}
)

func newShop(random *rand.Rand) *shop { return &shop{random: random, next: 1000 + random.IntN(9000)} }

// event returns the next thing that happens in the shop.
func (s *shop) event(now time.Time) client.Event {
	// Few orders at a time, so that one sees them go through.
	if len(s.open) == 0 || len(s.open) < 6 && s.random.IntN(3) == 0 {
		s.open = append(s.open, s.place(now))
	}
	i := s.random.IntN(len(s.open))
	o := s.open[i]
	kind := o.steps[0]
	o.steps = o.steps[1:]
	if len(o.steps) == 0 {
		s.open = slices.Delete(s.open, i, i+1)
	}
	s.detail(o, kind)
	data, _ := json.Marshal(o) //nolint:errchkjson // strings and numbers only
	return client.Event{Type: kind, Source: "/shop", Subject: "order/" + o.ID, Data: data}
}

// place makes a new order and decides what will become of it.
func (s *shop) place(now time.Time) *order {
	s.next++
	o := &order{
		ID: fmt.Sprint(s.next), Customer: customers[s.random.IntN(len(customers))], Currency: "EUR", Placed: now.UTC().Truncate(time.Second),
	}
	total := 0
	for _, n := range s.random.Perm(len(goods))[:1+s.random.IntN(3)] {
		line := goods[n]
		line.Quantity = 1 + s.random.IntN(3)
		line.Price = money(line.cents)
		total += line.cents * line.Quantity
		o.Items = append(o.Items, line)
	}
	o.Total = money(total)
	switch s.random.IntN(10) {
	case 0:
		o.steps = []string{"order.created", "order.cancelled"}
	case 1:
		o.steps = []string{"order.created", "order.paid", "order.shipped", "order.delivered", "order.refunded"}
	default:
		o.steps = []string{"order.created", "order.paid", "order.packed", "order.shipped", "order.delivered"}
	}
	return o
}

// detail adds what a step brings to light.
func (s *shop) detail(o *order, kind string) {
	switch kind {
	case "order.paid":
		o.Payment = payments[s.random.IntN(len(payments))]
	case "order.shipped":
		o.Carrier = carriers[s.random.IntN(len(carriers))]
		o.Tracking = fmt.Sprintf("%s%09d", "PH", s.random.IntN(1_000_000_000))
	case "order.cancelled", "order.refunded":
		o.Reason = reasons[s.random.IntN(len(reasons))]
	}
}

func money(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

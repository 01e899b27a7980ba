//! Books on pages.

use crate::{browser::faults, shop::Shop};

pub(crate) fn books_are_added_changed_and_deleted(shop: &Shop) {
    let mut browser = shop.signed_in("ana");
    assert!(browser.page("/book/catalog").contains("There are no books yet."));
    browser.page("/book/add_book");
    let fields = [
        ("title", " Rayuela "),
        ("author", "Julio Cortázar"),
        ("description", "Two readings\r\nin one book"),
        ("price", "12.5"),
        ("stock", "3"),
    ];
    assert_eq!(browser.submit("/book/add_book", &fields), "/book/catalog");
    let catalog = browser.page("/book/catalog");
    for shown in ["<h2>Rayuela</h2>", "Julio Cortázar", "Two readings\nin one book", "$12.50", "3 in stock"] {
        assert!(catalog.contains(shown), "{shown}: {catalog}");
    }
    assert!(shop.browser().page("/book/catalog").contains("Sign in to buy"), "the catalog is public");

    let form = browser.page("/book/edit_book/1");
    for value in [r#"value="Rayuela""#, r#"value="12.50""#, r#"name="stock" value="3""#, "\nTwo readings\nin one book<"]
    {
        assert!(form.contains(value), "{value}: {form}");
    }
    let fields = [("title", "Rayuela, 2nd"), ("author", "J. C."), ("description", ""), ("price", "9"), ("stock", "0")];
    assert_eq!(browser.submit("/book/edit_book/1", &fields), "/book/catalog");
    let catalog = browser.page("/book/catalog");
    for shown in ["Rayuela, 2nd", "J. C.", "$9.00", "out of stock"] {
        assert!(catalog.contains(shown), "{shown}: {catalog}");
    }
    assert!(browser.page("/book/my_books").contains("Rayuela, 2nd"));

    assert_eq!(browser.submit("/book/delete_book/1", &[]), "/book/catalog");
    assert!(browser.page("/book/catalog").contains("There are no books yet."));
    for gone in ["/book/edit_book/1", "/book/edit_book/2", "/book/edit_book/x", "/book/edit_book/99999999999999999999"]
    {
        assert_eq!(browser.get(gone).status, 404, "{gone}");
    }
    browser.page("/book/my_books");
    browser.page("/book/add_book");
    for gone in ["/book/delete_book/1", "/book/delete_book/x", "/book/edit_book/1", "/buy/1"] {
        assert_eq!(browser.post(gone, &[("quantity", "1")]).status, 404, "{gone}");
    }
}

pub(crate) fn only_the_seller_changes_a_book(shop: &Shop) {
    shop.signed_in("ana").add_book("Rayuela", "12.50", "3");
    let mut other = shop.signed_in("eva");
    let fields = [("title", "Mine"), ("author", "Eva"), ("price", "0"), ("stock", "1")];
    assert_eq!(other.get("/book/edit_book/1").status, 403);
    assert_eq!(other.post("/book/edit_book/1", &fields).status, 403);
    assert_eq!(other.post("/book/delete_book/1", &[]).status, 403);
    assert!(!other.page("/book/catalog").contains("/book/edit_book/1"));
    assert!(other.page("/book/catalog").contains("Rayuela"));
    let mut stranger = shop.browser();
    for path in ["/book/edit_book/1", "/book/delete_book/1", "/book/add_book", "/buy/1"] {
        let answer = stranger.post(path, &fields);
        assert_eq!((answer.status, answer.header("location")), (302, Some("/login?next=%2Fbook%2Fcatalog")), "{path}");
    }
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_book WHERE NOT is_deleted"), 1);
}

pub(crate) fn invalid_books_show_their_faults(shop: &Shop) {
    let mut browser = shop.signed_in("ana");
    browser.add_book("Rayuela", "12.50", "3");
    let required = "This value is required.";
    let price = "Enter an amount between 0 and 99999999.99, such as 12.50.";
    let stock = "Enter a whole number between 0 and 1000000.";
    let long = "é".repeat(151);
    for path in ["/book/add_book", "/book/edit_book/1"] {
        for (title, author, amount, copies, expected) in [
            ("t", "a", "many", "1", &[price][..]),
            ("t", "a", "-1", "1", &[price]),
            ("t", "a", "1.234", "1", &[price]),
            ("t", "a", "1e3", "1", &[price]),
            ("t", "a", "NaN", "1", &[price]),
            ("t", "a", "100000000", "1", &[price]),
            ("t", "a", "1", "-1", &[stock]),
            ("t", "a", "1", "1.5", &[stock]),
            ("t", "a", "1", "99999999999", &[stock]),
            ("", " ", "", "", &[required, required, price, stock]),
            (&long, "a", "1", "1", &["Use at most 150 characters."]),
            ("t", &long[..202], "1", "1", &["Use at most 100 characters."]),
            ("t\0", "a", "1", "1", &["Remove the null character."]),
        ] {
            browser.page(path);
            let fields = [("title", title), ("author", author), ("price", amount), ("stock", copies)];
            let answer = browser.post(path, &fields);
            assert_eq!((answer.status, faults(&answer.body)), (200, expected.to_vec()), "{path} {fields:?}");
            assert!(answer.body.contains(&format!(r#"name="price" value="{amount}""#)), "the value is shown again");
        }
    }
    browser.page("/book/add_book");
    let answer = browser.post("/book/add_book", &[]);
    assert_eq!((answer.status, faults(&answer.body)), (200, vec![required; 4]));
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_book WHERE title = 'Rayuela'"), 1);
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_book"), 1);
}

pub(crate) fn a_stale_form_does_not_revert_the_stock(shop: &Shop) {
    let mut browser = shop.signed_in("ana");
    browser.add_book("Rayuela", "12.50", "3");
    assert!(browser.page("/book/edit_book/1").contains(r#"name="shown_stock" value="3""#));
    assert_eq!(browser.submit("/buy/1", &[("quantity", "2")]), "/payment/1");
    let fields = [("title", "Rayuela"), ("author", "J. C."), ("price", "10"), ("stock", "3"), ("shown_stock", "3")];
    assert_eq!(browser.submit("/book/edit_book/1", &fields), "/book/catalog");
    assert_eq!(shop.number("SELECT CAST(stock AS BIGINT) FROM bookstore_book"), 1);
}

pub(crate) fn the_catalog_has_pages(shop: &Shop) {
    let mut browser = shop.signed_in("ana");
    for number in 1..=25 {
        browser.add_book(&format!("Book {number}."), "1", "1");
    }
    let first = browser.page("/book/catalog");
    assert!(first.contains("Book 25.") && first.contains("Book 2.") && !first.contains("Book 1."), "{first}");
    assert!(first.contains(r#"<a rel="next" href="?page=2">"#) && !first.contains(r#"rel="prev""#), "{first}");
    let second = browser.page("/book/catalog?page=2");
    assert!(second.contains("Book 1.") && !second.contains("Book 2."), "{second}");
    assert!(second.contains(r#"<a rel="prev" href="?page=1">"#) && !second.contains(r#"rel="next""#), "{second}");
    for invalid in ["0", "-1", "x", "99999999999999999999"] {
        assert!(browser.page(&format!("/book/catalog?page={invalid}")).contains("Book 25."), "{invalid}");
    }
    assert!(browser.page("/book/catalog?page=99999").contains("There are no books on this page."));
}

pub(crate) fn html_is_escaped(shop: &Shop) {
    let mut browser = shop.signed_in("<b>ana</b>");
    let hostile = r#""><script>alert(1)</script>"#;
    browser.add_book(hostile, "1", "1");
    browser.page("/book/add_book");
    let refused = browser.post("/book/add_book", &[("title", hostile), ("price", hostile)]).body;
    let pages = ["/book/catalog", "/book/my_books", "/book/edit_book/1", "/"].map(|path| browser.page(path));
    for page in pages.iter().chain([&refused]) {
        assert!(!page.contains("<script") && !page.contains("<b>ana"), "{page}");
        assert!(page.contains("&#60;b&#62;ana"), "{page}");
    }
}
